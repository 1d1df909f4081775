package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"

	"shiren/api/baidu"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

func (a *app) serveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until it is interrupted.

Without a configured app, the first start makes a demo app with plans, and every start
prints its keys, a fresh link with its QR code, and commands to try. While the console
has no administrator, every start prints a one-time link that makes one.

A phone gives its camera to HTTPS pages only: use --tls self-signed and accept the
certificate once, --tls auto with --domain for a public host name, or --tls files.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
	a.setData(cmd)
	a.set(cmd, "listen", "listen", "`address`, host:port (default 127.0.0.1:8080; with TLS :8443 or :443)")
	a.set(cmd, "public-url", "public_url", "how clients reach the server, when that is another `address`")
	a.set(cmd, "tls", "tls.mode", "`mode`: off, self-signed, auto (ACME) or files")
	a.set(cmd, "domain", "tls.domains", "host `names` of the certificate, separated by commas")
	a.set(cmd, "cert", "tls.cert_file", "certificate `file` for --tls files")
	a.set(cmd, "key", "tls.key_file", "key `file` for --tls files")
	a.set(cmd, "log-level", "log.level", "`level`: debug, info, warn or error")
	a.set(cmd, "models", "models.dir", "models' `folder` (default models under the data folder)")
	a.setBool(cmd, "demo", "demo", "make and show a demo app while no app is configured (default true)")
	return cmd
}

func (a *app) serve(ctx context.Context) (err error) {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	s, err := server.New(ctx, a.options(cfg))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	demo, ok, err := s.Demo(ctx)
	if err != nil {
		return err
	}
	var ses ekyc.Session
	if ok {
		if ses, err = s.Service.Open(ctx, demo, demoPlan, ekyc.Redirect{}); err != nil {
			return fmt.Errorf("open a demo session: %w", err)
		}
	}
	first := ""
	if cfg.Console.Enabled {
		if first, err = s.Operators.FirstLink(ctx); err != nil {
			return fmt.Errorf("make the console's first link: %w", err)
		}
	}
	return s.Serve(ctx, func(at server.Address) {
		banner(a.out, cfg, at)
		if first != "" {
			showFirst(a.out, server.ConsoleLink(at.Console, first))
		}
		if ok {
			showDemo(a.out, cfg, at, demo, ses)
		} else {
			fmt.Fprintln(a.out, "  Apps: `shiren app list`. Plans: `shiren plan list`. Stop with Ctrl-C.")
		}
	})
}

// demoPlan is the plan of the link that a start prints: liveness needs nothing but a face.
const demoPlan ekyc.PlanID = "1"

func banner(w io.Writer, cfg config.Config, at server.Address) {
	fmt.Fprintf(w, "\n  shiren 实人 is ready\n\n  Address     %s\n", at.Local)
	for _, lan := range at.LAN {
		if lan != at.Local {
			fmt.Fprintf(w, "              %s\n", lan)
		}
	}
	if cfg.PublicURL != "" {
		fmt.Fprintf(w, "  Public      %s\n", cfg.PublicURL)
	}
	if cfg.TLS.Mode == config.TLSSelfSigned {
		fmt.Fprintf(w, "  Certificate %s (self-signed: accept it once in the browser)\n", server.SelfSignedFile(cfg))
	}
	if at.Console != "" {
		fmt.Fprintf(w, "  Console     %s\n", at.Console)
	}
	fmt.Fprintln(w)
}

// showFirst prints the link that makes the first administrator.
func showFirst(w io.Writer, link string) {
	fmt.Fprintf(w, "  The console has no administrator yet. Whoever opens this link first becomes it\n  (usable once, for 24 hours; `shiren console link` makes another):\n  %s\n\n", link)
}

func showDemo(w io.Writer, cfg config.Config, at server.Address, app ekyc.App, ses ekyc.Session) {
	link := baidu.H5URL(at.Best, string(ses.Token), "", "")
	fmt.Fprintf(w, `  Demo app    %s
  API Key     %s
  Secret Key  %s
  Juhe key    %s
  Plans       1  liveness only
              2  compare with an uploaded image
              3  compare with the registry; the person enters name and number
              4  read an identity document, then look at the face
              5  liveness by colours (炫瞳)
              6  liveness by actions (动作)

  Open this link (plan 1, usable for 2 hours) and look into the camera:
  %s

`, app.ID, app.Key, string(app.Secret), cmp.Or(string(app.Bearer), "none; shiren app set "+string(app.ID)+" --new-bearer-key makes one"), link)
	var qr strings.Builder
	qrterminal.GenerateWithConfig(link, qrterminal.Config{
		Level: qrterminal.L, Writer: &qr, HalfBlocks: true, QuietZone: 1,
		BlackChar: qrterminal.BLACK_BLACK, WhiteBlackChar: qrterminal.WHITE_BLACK,
		WhiteChar: qrterminal.WHITE_WHITE, BlackWhiteChar: qrterminal.BLACK_WHITE,
	})
	for line := range strings.Lines(qr.String()) {
		fmt.Fprint(w, "  ", line)
	}
	if !strings.HasPrefix(at.Best, "https://") {
		fmt.Fprint(w, "\n  A phone's camera needs HTTPS: stop, and start again with --tls self-signed\n  (make run ARGS=\"--tls self-signed\").\n")
	}
	curl := "curl -s"
	if cfg.TLS.Mode == config.TLSSelfSigned {
		curl += " --cacert " + quoted(server.SelfSignedFile(cfg))
	}
	fmt.Fprintf(w, `
  Then read the result as a backend does. An access token, and the result:

  AT=$(%s "%s%s?grant_type=client_credentials&client_id=%s&client_secret=%s" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  %s "%s%s?access_token=$AT" -H 'Content-Type: application/json' -d '{"verify_token":"%s"}'

  A new link needs a new token; with plan 1:

  %s "%s%s?access_token=$AT" -H 'Content-Type: application/json' -d '{"plan_id":"1"}'

  Stop with Ctrl-C. What happens is logged below.

`, curl, at.Local, baidu.PathToken, app.Key, string(app.Secret),
		curl, at.Local, baidu.PathDetail, string(ses.Token),
		curl, at.Local, baidu.PathGenerate)
}

// quoted makes text one word of a shell.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
