// Command shiren verifies real people: `shiren serve` runs the server, the other
// commands look after what it stands on. It holds flags and words for people; what it
// does is done by the rooms that internal/server wires together.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/config"
	"shiren/internal/server"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "unknown"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errSaid ends a command whose trouble has been printed already.
var errSaid = errors.New("said already")

// run is main with its surroundings handed in. It returns the exit status: 0, or 1 when
// the command could not do what it was asked. A non-match is an answer, not a failure.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	root := (&app{out: stdout, err: stderr, now: time.Now, rand: rand.Reader}).root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(stderr, "shiren: interrupted")
	default:
		fmt.Fprintln(stderr, "shiren:", err)
	}
	return 1
}

// app is what all commands share.
type app struct {
	out, err io.Writer
	now      func() time.Time
	rand     io.Reader
	file     string        // --config
	flags    []config.Flag // that override the configuration
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shiren",
		Short: "Verify that the living person in front of a camera is who they claim to be",
		Long: `shiren 实人 is a self-hosted server for identity verification by face.

Start it with "shiren serve". Everything has a default; what differs goes into
shiren.toml (see shiren.example.toml), into SHIREN_… variables, or into flags.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.file, "config", "", "configuration file (default shiren.toml, where there is one)")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		a.serveCmd(), a.compareCmd(), a.livenessCmd(), a.idcardCmd(), a.benchCmd(), a.modelsCmd(), a.registryCmd(), a.sourceCmd(), a.appCmd(), a.planCmd(),
		a.sessionCmd(), a.purgeCmd(), a.huaweiCmd(), a.doctorCmd(), a.versionCmd(), a.interfaceCmd(), a.sandboxCmd(), a.callCmd(),
		a.consoleCmd(), a.auditCmd(), a.demoCmd(),
	)
	return root
}

// group makes a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(children...)
	return cmd
}

// set declares a flag that overrides a key of the configuration.
func (a *app) set(cmd *cobra.Command, name, key, usage string) {
	cmd.Flags().Func(name, usage, func(v string) error {
		a.flags = append(a.flags, config.Flag{Key: key, Name: "--" + name, Value: v})
		return nil
	})
}

// setBool is set for a flag that needs no value.
func (a *app) setBool(cmd *cobra.Command, name, key, usage string) {
	cmd.Flags().BoolFunc(name, usage, func(v string) error {
		a.flags = append(a.flags, config.Flag{Key: key, Name: "--" + name, Value: v})
		return nil
	})
}

// setData declares the flag that most commands need.
func (a *app) setData(cmd *cobra.Command) {
	a.set(cmd, "data", "data", "`folder` of the database, evidence, master key and models (default data)")
}

func (a *app) load() (config.Config, error) {
	file := a.file
	if file == "" {
		file = os.Getenv("SHIREN_CONFIG")
	}
	cfg, err := config.Load(file, os.Environ(), a.flags)
	var m config.Mistakes
	if errors.As(err, &m) {
		return cfg, fmt.Errorf("%w\nshiren.example.toml shows every setting", m)
	}
	return cfg, err
}

func (a *app) options(cfg config.Config) server.Options {
	return server.Options{Config: cfg, Now: a.now, Rand: a.rand, Log: server.NewLog(a.err, cfg.Log), Version: version}
}

// quiet is options for commands whose trouble is printed, not logged.
func (a *app) quiet(cfg config.Config) server.Options {
	o := a.options(cfg)
	o.Log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return o
}

// open loads the configuration and opens what is kept, for commands that look after data.
func (a *app) open(ctx context.Context) (*server.Data, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, a.quiet(cfg))
}
