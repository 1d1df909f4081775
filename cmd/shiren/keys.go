package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

// rotationKept is how long a key stays valid beside the one that takes its place. Our
// choice: a week for a developer to change over.
const rotationKept = 7 * 24 * time.Hour

// Ids of our keys begin like the vendor's: the result page's sample has DEVELOPER_SIGN_ and
// sixteen characters. A developer's are the SHA-256 of the key in hex, as long as the sample's.
var keyPrefix = map[ekyc.KeyUse]string{ekyc.KeySign: "DEVELOPER_SIGN_", ekyc.KeyEncrypt: "DEVELOPER_ENC_"}

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
	rotate.Flags().DurationVar(&turned.keep, "keep", rotationKept, "how long the old one stays valid")

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

// addKey stores a key if the app may have another of its kind.
func (a *app) addKey(ctx context.Context, d *server.Data, k ekyc.AppKey) error {
	if k.Use != ekyc.KeySign && k.Use != ekyc.KeyEncrypt {
		return fmt.Errorf("use %q: want sign or encrypt", k.Use)
	}
	list, err := d.Store.AppKeys(ctx, k.App)
	if err != nil {
		return err
	}
	k.Created = a.now().UTC()
	if err := ekyc.AddKey(list, k, k.Created); err != nil {
		return fmt.Errorf("%s; see shiren app keys list %s", ekyc.DetailOf(err), k.App)
	}
	return d.Store.PutAppKey(ctx, k)
}

// pair makes a record of a pair of ours.
func (a *app) pair(app ekyc.AppID, use ekyc.KeyUse, id string, key *huawei.PrivateKey) (ekyc.AppKey, error) {
	der, err1 := key.PKCS8()
	spki, err2 := key.Public().SPKI()
	if err := errors.Join(err1, err2); err != nil {
		return ekyc.AppKey{}, err
	}
	if id == "" {
		sum := sha256.Sum256(spki)
		id = keyPrefix[use] + strings.ToUpper(hex.EncodeToString(sum[:8]))
	}
	return ekyc.AppKey{
		App: app, ID: id, Use: use, Ours: true, Public: spki, Private: ekyc.Secret(base64.StdEncoding.EncodeToString(der)),
	}, nil
}

func (a *app) makeKey(ctx context.Context, d *server.Data, app ekyc.AppID, use ekyc.KeyUse, id string) error {
	key, err := huawei.GenerateKey(a.rand)
	if err != nil {
		return err
	}
	k, err := a.pair(app, use, id, key)
	if err == nil {
		err = a.addKey(ctx, d, k)
	}
	if err != nil {
		return err
	}
	return a.showKey(k)
}

// showKey prints what the developer needs of a key of ours.
func (a *app) showKey(k ekyc.AppKey) error {
	name := map[ekyc.KeyUse]string{ekyc.KeySign: "petalpaySignKeyId", ekyc.KeyEncrypt: "petalpayEncKeyId"}[k.Use]
	_, err := fmt.Fprintf(a.out, "%-17s  %s\npublic key         %x\n", name, k.ID, k.Public)
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
		key, err := huawei.ParsePrivateKey(text)
		if err != nil {
			return fmt.Errorf("%s: %w", private, err)
		}
		k, err := a.pair(app, use, id, key)
		if err == nil {
			err = a.addKey(ctx, d, k)
		}
		if err != nil {
			return err
		}
		return a.showKey(k)
	}
	key, err := huawei.ParsePublicKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", public, err)
	}
	spki, err := key.SPKI()
	if err != nil {
		return err
	}
	if id == "" {
		id = fmt.Sprintf("%x", sha256.Sum256(spki))
	}
	if err := a.addKey(ctx, d, ekyc.AppKey{App: app, ID: id, Use: use, Public: spki}); err != nil {
		return err
	}
	name := map[ekyc.KeyUse]string{ekyc.KeySign: "developerSignKeyId", ekyc.KeyEncrypt: "developerEncKeyId"}[use]
	_, err = fmt.Fprintf(a.out, "%-18s %s\n", name, id)
	return err
}

func (a *app) rotateKey(ctx context.Context, d *server.Data, app ekyc.AppID, use ekyc.KeyUse, keep time.Duration) error {
	if err := a.makeKey(ctx, d, app, use, ""); err != nil {
		return err
	}
	list, err := d.Store.AppKeys(ctx, app)
	if err != nil {
		return err
	}
	now := a.now().UTC()
	newest := -1
	for i, k := range list {
		if k.Ours && k.Use == use {
			newest = i
		}
	}
	for i, k := range list {
		if end := now.Add(keep); i != newest && k.Ours && k.Use == use && k.Valid(now) && (k.Until.IsZero() || end.Before(k.Until)) {
			k.Until = end
			if err := d.Store.PutAppKey(ctx, k); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "until %s both are valid: %s too\n", end.Format("2006-01-02 15:04Z"), k.ID)
		}
	}
	return nil
}

func (a *app) retireKey(ctx context.Context, d *server.Data, app ekyc.AppID, id string, after time.Duration) error {
	list, err := d.Store.AppKeys(ctx, app)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.ID == id {
			k.Until = a.now().UTC().Add(after)
			if err := d.Store.PutAppKey(ctx, k); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.out, "key %s ends %s\n", id, k.Until.Format("2006-01-02 15:04Z"))
			return err
		}
	}
	return fmt.Errorf("app %s has no key %q; see shiren app keys list %s", app, id, app)
}
