package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
	"shiren/internal/explorer"
	"shiren/internal/server"
)

func (a *app) keysCmd() *cobra.Command {
	list := a.keyCmd("list APP", "List an app's keys: the developer's and ours", 1, func(ctx context.Context, d *server.Data, args []string) error {
		return a.listKeys(ctx, d, ekyc.AppID(args[0]))
	})

	var made struct{ use, id string }
	add := a.keyCmd("make APP", "Make our own pairs for an app, to sign answers and to read encrypted fields", 1,
		func(ctx context.Context, d *server.Data, args []string) error {
			if made.use != "" {
				return a.makeKey(ctx, d, ekyc.AppID(args[0]), ekyc.KeyUse(made.use), made.id)
			}
			if made.id != "" {
				return errors.New("--id names one key: say which with --use")
			}
			return errors.Join(
				a.makeKey(ctx, d, ekyc.AppID(args[0]), ekyc.KeySign, ""),
				a.makeKey(ctx, d, ekyc.AppID(args[0]), ekyc.KeyEncrypt, ""))
		})
	add.Flags().StringVar(&made.use, "use", "", "sign or encrypt (default: one of each)")
	add.Flags().StringVar(&made.id, "id", "", "its `id` (default: made of the key)")

	var taken struct{ use, id, public, private string }
	imports := a.keyCmd("import APP", "Take a developer's public key, or a pair of ours from elsewhere", 1,
		func(ctx context.Context, d *server.Data, args []string) error {
			return a.importKey(ctx, d, ekyc.AppID(args[0]), ekyc.KeyUse(taken.use), taken.id, taken.public, taken.private)
		})
	imports.Long = `Take a developer's public key, or a pair of ours from elsewhere. Keys are read as PEM, hex
or base64: SubjectPublicKeyInfo or the point, PKCS #8 or SEC 1. A file named - is standard input.
The id is what requests name the key by: developerSignKeyId and so on.`
	imports.Flags().StringVar(&taken.use, "use", "sign", "sign or encrypt")
	imports.Flags().StringVar(&taken.id, "id", "", "its `id` (default: made of the key)")
	imports.Flags().StringVar(&taken.public, "public", "", "`file` of the developer's public key")
	imports.Flags().StringVar(&taken.private, "private", "", "`file` of a private key of ours")

	var turned struct {
		use  string
		keep time.Duration
	}
	rotate := a.keyCmd("rotate APP", "Make a pair of ours that takes the place of the one in use", 1,
		func(ctx context.Context, d *server.Data, args []string) error {
			return a.rotateKey(ctx, d, ekyc.AppID(args[0]), ekyc.KeyUse(turned.use), turned.keep)
		})
	rotate.Flags().StringVar(&turned.use, "use", "sign", "sign or encrypt")
	rotate.Flags().DurationVar(&turned.keep, "keep", server.RotationKept, "how long the old one stays valid")

	var after time.Duration
	retire := a.keyCmd("retire APP KEY", "End a key: at once, or after a time", 2, func(ctx context.Context, d *server.Data, args []string) error {
		return a.retireKey(ctx, d, ekyc.AppID(args[0]), args[1], after)
	})
	retire.Flags().DurationVar(&after, "after", 0, "a `time` from now")
	return group("keys", "Make, import, rotate and list the SM2 keys of apps (Huawei protocol)", list, add, imports, rotate, retire)
}

// keyCmd makes a command that works on the data.
func (a *app) keyCmd(use, short string, args int, run func(context.Context, *server.Data, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if _, err := d.Store.App(cmd.Context(), ekyc.AppID(args[0])); errors.Is(err, ekyc.ErrAbsent) {
				return fmt.Errorf("there is no app %q; `shiren app list` shows what there is", args[0])
			} else if err != nil {
				return err
			}
			return run(cmd.Context(), d, args)
		},
	}
	a.setData(cmd)
	return cmd
}

func (a *app) listKeys(ctx context.Context, d *server.Data, id ekyc.AppID) error {
	list, err := d.Store.AppKeys(ctx, id)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tOWNER\tUSE\tMADE\tSTATE\tPUBLIC KEY")
	for _, k := range list {
		owner, state := "developer", "valid"
		if k.Ours {
			owner = "ours"
		}
		switch now := a.now(); {
		case !k.Valid(now):
			state = "ended " + k.Until.Format(time.DateOnly)
		case !k.Until.IsZero():
			state = "until " + k.Until.UTC().Format("2006-01-02 15:04Z")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%x\n", k.ID, owner, k.Use, k.Created.Format(time.DateOnly), state, k.Public)
	}
	return w.Flush()
}

// keyError says where to look when the app may have no other key of the kind.
func keyError(err error, app ekyc.AppID) error {
	if ekyc.CodeOf(err) == ekyc.BadRequest {
		return fmt.Errorf("%s; see shiren app keys list %s", ekyc.DetailOf(err), app)
	}
	return err
}

func (a *app) makeKey(ctx context.Context, d *server.Data, app ekyc.AppID, use ekyc.KeyUse, id string) error {
	k, err := d.MakeKey(ctx, app, use, id)
	if err != nil {
		return keyError(err, app)
	}
	return a.showKey(k)
}

// showKey prints what the developer needs of a key of ours.
func (a *app) showKey(k ekyc.AppKey) error {
	_, err := fmt.Fprintf(a.out, "%-17s  %s\npublic key         %x\n", explorer.KeyField(k.Ours, k.Use), k.ID, k.Public)
	return err
}

// maxKeyFile bounds what is read of a key file.
const maxKeyFile = 64 << 10

func (a *app) readText(name string) (string, error) {
	var r io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	return string(b), err
}

func (a *app) importKey(ctx context.Context, d *server.Data, app ekyc.AppID, use ekyc.KeyUse, id, public, private string) error {
	if (public == "") == (private == "") {
		return errors.New("give --public, a developer's key, or --private, one of ours")
	}
	text, err := a.readText(public + private)
	if err != nil {
		return err
	}
	if private != "" {
		k, err := d.ImportPair(ctx, app, use, id, text)
		if err != nil {
			return fmt.Errorf("%s: %w", private, keyError(err, app))
		}
		return a.showKey(k)
	}
	k, err := d.ImportKey(ctx, app, use, id, text)
	if err != nil {
		return fmt.Errorf("%s: %w", public, keyError(err, app))
	}
	_, err = fmt.Fprintf(a.out, "%-18s %s\n", explorer.KeyField(k.Ours, k.Use), k.ID)
	return err
}

func (a *app) rotateKey(ctx context.Context, d *server.Data, app ekyc.AppID, use ekyc.KeyUse, keep time.Duration) error {
	fresh, ending, err := d.RotateKey(ctx, app, use, keep)
	if err != nil {
		return keyError(err, app)
	}
	if err := a.showKey(fresh); err != nil {
		return err
	}
	for _, k := range ending {
		fmt.Fprintf(a.out, "until %s both are valid: %s too\n", k.Until.Format("2006-01-02 15:04Z"), k.ID)
	}
	return nil
}

func (a *app) retireKey(ctx context.Context, d *server.Data, app ekyc.AppID, id string, after time.Duration) error {
	k, err := d.RetireKey(ctx, app, id, after)
	if errors.Is(err, ekyc.ErrAbsent) {
		return fmt.Errorf("app %s has no key %q; see shiren app keys list %s", app, id, app)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "key %s ends %s\n", id, k.Until.Format("2006-01-02 15:04Z"))
	return err
}
