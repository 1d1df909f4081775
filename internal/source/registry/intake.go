package registry

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"shiren/internal/ekyc"
)

// Intake takes files of people over the network, in parts, and imports them in the
// background, one at a time. What was uploaded lies sealed under a data key of its own until
// its import is done or it is removed; portraits are read out of their archive and never
// written to a file. What was interrupted goes on when it is started again. Its folder
// belongs to this process. Safe for concurrent use after Open.
type Intake struct {
	Registry *Registry
	Dir      string // made when absent
	Now      func() time.Time
	Rand     io.Reader
	Log      *slog.Logger
	Workers  int // people that are worked on at a time

	mu    sync.Mutex
	jobs  map[string]*intakeJob
	run   string // id of the job that runs, "" where none does
	ctx   context.Context
	stop  context.CancelFunc
	group sync.WaitGroup
}

// Limits of uploads. Our choice: a million people have about 100 MB of lines, and as many
// portraits as an archive of 8 GiB holds.
const (
	MaxLines    = 1 << 30 // bytes of the file of people
	MaxArchive  = 8 << 30 // bytes of the archive of portraits
	maxPictures = 2_000_000
	// maxDirectory bounds an archive's list of files, at 100 bytes each and twice.
	maxDirectory = 400 << 20
	// PartSize is how many bytes a part of an upload has, but for the last: a multiple of
	// sealedPiece, so that parts are sealed without waiting for each other.
	PartSize    = 4 << 20
	sealedPiece = 1 << 20
)

// How long what was uploaded waits to be imported, and the record of an import is kept. Our
// choice.
const (
	IntakeKept = 3 * 24 * time.Hour
	IntakeTold = 30 * 24 * time.Hour
)

// IntakeState is how far an upload has come.
type IntakeState string

// The states of an upload.
const (
	IntakeUploading IntakeState = "uploading"
	IntakeRunning   IntakeState = "running"
	IntakeStopped   IntakeState = "stopped" // by somebody, or by the server's end; it can be started again
	IntakeFailed    IntakeState = "failed"  // likewise; Trouble says why
	IntakeDone      IntakeState = "done"    // what was uploaded is erased
)

// IntakeStatus is what there is to know of one upload.
type IntakeStatus struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"` // of the file, as its sender called it
	State    IntakeState `json:"state"`
	Made     time.Time   `json:"made"`
	Begun    time.Time   `json:"begun,omitzero"` // the last start
	Ended    time.Time   `json:"ended,omitzero"`
	Bytes    int64       `json:"bytes"`    // of the file, so far
	Archive  int64       `json:"archive"`  // of the archive of portraits, so far
	Pictures bool        `json:"pictures"` // there is an archive
	Lines    int         `json:"lines"`    // of people in the file, about; 0 before it was looked at
	Imported
	Trouble string `json:"trouble"` // nothing of the file's content
}

// IntakeFile is one of the two files of an upload.
type IntakeFile string

// The files of an upload.
const (
	IntakePeople    IntakeFile = "people"
	IntakePortraits IntakeFile = "portraits"
)

type intakeJob struct {
	IntakeStatus
	Key    []byte `json:"key"` // wrapped data key of what was uploaded
	cancel context.CancelFunc
}

// ErrIntake is why something cannot be done with an upload as it stands; the text says it.
type ErrIntake string

func (e ErrIntake) Error() string { return string(e) }

var intakeIDs = regexp.MustCompile(`^[0-9a-f]{24}$`)

// Open reads what the folder holds. Imports that ran when the process ended are stopped.
func (k *Intake) Open() error {
	k.jobs = map[string]*intakeJob{}
	k.ctx, k.stop = context.WithCancel(context.Background())
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return fmt.Errorf("open folder of imports: %w", err)
	}
	list, err := os.ReadDir(k.Dir)
	if err != nil {
		return fmt.Errorf("open folder of imports: %w", err)
	}
	for _, e := range list {
		if !e.IsDir() || !intakeIDs.MatchString(e.Name()) {
			continue
		}
		j := &intakeJob{}
		b, err := os.ReadFile(filepath.Join(k.Dir, e.Name(), "job.json"))
		if err == nil {
			err = json.Unmarshal(b, j)
		}
		if err != nil || j.ID != e.Name() { // half made: nobody was told of it
			if err := os.RemoveAll(filepath.Join(k.Dir, e.Name())); err != nil {
				return fmt.Errorf("remove a damaged import: %w", err)
			}
			continue
		}
		if j.State == IntakeRunning {
			j.State = IntakeStopped
		}
		if c, err := readCheckpoint(k.checkpoint(j.ID)); err == nil && c.People > 0 {
			j.Imported = c.Imported
		}
		k.jobs[j.ID] = j
	}
	return k.Sweep()
}

// Close stops what runs and waits for it: it can be started again after the next Open.
func (k *Intake) Close() {
	k.stop()
	k.group.Wait()
}

// Sweep erases uploads that nobody imported in IntakeKept, and forgets imports after IntakeTold.
func (k *Intake) Sweep() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Now()
	var errs []error
	for id, j := range k.jobs {
		last := j.Made
		for _, t := range []time.Time{j.Begun, j.Ended} {
			if t.After(last) {
				last = t
			}
		}
		kept := IntakeKept
		if j.State == IntakeDone {
			kept = IntakeTold
		}
		if j.State != IntakeRunning && now.Sub(last) >= kept {
			errs = append(errs, k.forget(id))
		}
	}
	return errors.Join(errs...)
}

// forget removes an upload with all its files. The caller holds mu.
func (k *Intake) forget(id string) error {
	if err := os.RemoveAll(k.folder(id)); err != nil {
		return fmt.Errorf("remove an import: %w", err)
	}
	delete(k.jobs, id)
	return nil
}

func (k *Intake) folder(id string) string { return filepath.Join(k.Dir, id) }

func (k *Intake) save(j *intakeJob) error {
	if err := writeJSON(filepath.Join(k.folder(j.ID), "job.json"), j); err != nil {
		return fmt.Errorf("note an import: %w", err)
	}
	return nil
}

// Create begins an upload.
func (k *Intake) Create(name string, pictures bool) (IntakeStatus, error) {
	if err := k.Sweep(); err != nil {
		return IntakeStatus{}, err
	}
	var b [12]byte
	if _, err := io.ReadFull(k.Rand, b[:]); err != nil {
		return IntakeStatus{}, fmt.Errorf("name an import: %w", err)
	}
	key, err := k.Registry.Sealer.NewKey()
	if err != nil {
		return IntakeStatus{}, fmt.Errorf("make data key: %w", err)
	}
	j := &intakeJob{Key: key, IntakeStatus: IntakeStatus{
		ID: hex.EncodeToString(b[:]), Name: name, State: IntakeUploading, Made: k.Now().UTC(), Pictures: pictures,
	}}
	if err := os.Mkdir(k.folder(j.ID), 0o700); err != nil {
		return IntakeStatus{}, fmt.Errorf("make a folder for an import: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.save(j); err != nil {
		return IntakeStatus{}, err
	}
	k.jobs[j.ID] = j
	return j.IntakeStatus, nil
}

// job finds an upload; absent is ekyc.ErrAbsent. The caller holds mu.
func (k *Intake) job(id string) (*intakeJob, error) {
	j := k.jobs[id]
	if j == nil {
		return nil, fmt.Errorf("read import: %w", ekyc.ErrAbsent)
	}
	return j, nil
}

// Append adds a part to one of an upload's files. at is where it belongs: parts come in order,
// and one that came already is taken as sent, so that a sender who missed an answer may send
// it again. All parts but a file's last have PartSize bytes.
func (k *Intake) Append(id string, file IntakeFile, at int64, part []byte) (IntakeStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.job(id)
	if err != nil {
		return IntakeStatus{}, err
	}
	size, most := &j.Bytes, int64(MaxLines)
	switch {
	case file == IntakePortraits && j.Pictures:
		size, most = &j.Archive, MaxArchive
	case file != IntakePeople:
		return j.IntakeStatus, ErrIntake("this upload has no such file")
	}
	switch {
	case j.State != IntakeUploading:
		return j.IntakeStatus, ErrIntake("the upload is complete already; begin another one")
	case len(part) == 0 || len(part) > PartSize:
		return j.IntakeStatus, ErrIntake(fmt.Sprintf("a part has 1 to %d bytes", PartSize))
	case at+int64(len(part)) <= *size:
		return j.IntakeStatus, nil
	case at != *size || at%PartSize != 0:
		return j.IntakeStatus, ErrIntake(fmt.Sprintf("the next part begins at byte %d; parts but the last have %d bytes", *size, PartSize))
	case at+int64(len(part)) > most:
		return j.IntakeStatus, ErrIntake(fmt.Sprintf("the file is larger than %d bytes; divide it", most))
	}
	out, err := os.OpenFile(filepath.Join(k.folder(id), string(file)), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return j.IntakeStatus, fmt.Errorf("keep a part: %w", err)
	}
	defer out.Close()
	for i := int64(0); i < int64(len(part)); i += sealedPiece {
		n := (at + i) / sealedPiece
		sealed, err := k.Registry.Sealer.Seal(j.Key, part[i:min(i+sealedPiece, int64(len(part)))], pieceContext(id, file, n))
		if err == nil {
			_, err = out.WriteAt(sealed, n*pieceStride)
		}
		if err != nil {
			return j.IntakeStatus, fmt.Errorf("keep a part: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return j.IntakeStatus, fmt.Errorf("keep a part: %w", err)
	}
	*size += int64(len(part))
	return j.IntakeStatus, k.save(j)
}

// pieceStride is how far sealed pieces lie apart: more than sealing adds.
const pieceStride = sealedPiece + 256

func pieceContext(id string, file IntakeFile, n int64) []byte {
	return fmt.Appendf(nil, "import %s %s %d", id, file, n)
}

// Start imports an upload in the background, or goes on with one that was stopped or failed.
func (k *Intake) Start(id string) (IntakeStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.job(id)
	if err != nil {
		return IntakeStatus{}, err
	}
	switch {
	case k.ctx.Err() != nil:
		return j.IntakeStatus, ErrIntake("the server is stopping")
	case j.State == IntakeRunning:
		return j.IntakeStatus, nil
	case j.State == IntakeDone:
		return j.IntakeStatus, ErrIntake("it was imported already; upload the file again to import it again")
	case k.run != "":
		return j.IntakeStatus, ErrIntake("another import is running; wait for it, or stop it")
	case j.Bytes == 0:
		return j.IntakeStatus, ErrIntake("the file of people was not uploaded")
	case j.Pictures && j.Archive == 0:
		return j.IntakeStatus, ErrIntake("the archive of portraits was not uploaded")
	}
	j.State, j.Begun, j.Trouble = IntakeRunning, k.Now().UTC(), ""
	if err := k.save(j); err != nil {
		return j.IntakeStatus, err
	}
	ctx, cancel := context.WithCancel(k.ctx)
	j.cancel, k.run = cancel, id
	k.group.Go(func() {
		defer cancel()
		n, err := k.work(ctx, *j)
		k.end(ctx, id, n, err)
	})
	return j.IntakeStatus, nil
}

// Stop ends an import that runs, after the batch that is being written.
func (k *Intake) Stop(id string) (IntakeStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.job(id)
	if err != nil {
		return IntakeStatus{}, err
	}
	if j.State == IntakeRunning && j.cancel != nil {
		j.cancel()
	}
	return j.IntakeStatus, nil
}

// end notes how an import ended.
func (k *Intake) end(ctx context.Context, id string, n Imported, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.jobs[id]
	j.Imported, j.Ended, j.cancel, k.run = n, k.Now().UTC(), nil, ""
	var told ErrIntake
	switch {
	case err == nil:
		j.State, j.Key = IntakeDone, nil
		for _, f := range []IntakeFile{IntakePeople, IntakePortraits} {
			if err := os.Remove(filepath.Join(k.folder(id), string(f))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				k.Log.Error("what was imported is not erased; it stays sealed, without its key", "err", err)
			}
		}
	case ctx.Err() != nil:
		j.State = IntakeStopped
	default:
		j.State, j.Trouble = IntakeFailed, "something failed here; the server's log says what"
		if errors.As(err, &told) {
			j.Trouble = string(told)
		}
		k.Log.Error("an import failed", "people", n.People, "err", err)
	}
	if err := k.save(j); err != nil {
		k.Log.Error("how an import ended is not kept", "err", err)
	}
}

// work imports an upload. j is a copy.
func (k *Intake) work(ctx context.Context, j intakeJob) (Imported, error) {
	people, err := k.open(&j, IntakePeople, j.Bytes)
	if err != nil {
		return j.Imported, err
	}
	defer people.f.Close()
	file, count, err := Fingerprint(io.NewSectionReader(people, 0, j.Bytes))
	if err != nil {
		return j.Imported, err
	}
	k.tell(j.ID, func(s *IntakeStatus) { s.Lines = max(count-1, 0) })
	im := Import{Lines: io.NewSectionReader(people, 0, j.Bytes), File: file, Workers: k.Workers}
	if _, err := lines(io.NewSectionReader(people, 0, j.Bytes)); err != nil { // a mistake in the header names columns, and nothing of a person
		return j.Imported, ErrIntake(err.Error())
	}
	if j.Pictures {
		archive, err := k.open(&j, IntakePortraits, j.Archive)
		if err != nil {
			return j.Imported, err
		}
		defer archive.f.Close()
		read, err := zipped(archive, j.Archive)
		if err != nil {
			return j.Imported, err
		}
		im.Portrait = Portraits(read)
	}
	tell := func(n Imported) { k.tell(j.ID, func(s *IntakeStatus) { s.Imported = n }) }
	return k.Registry.Follow(ctx, Course{
		Import: im, Checkpoint: k.checkpoint(j.ID), Report: k.report(j.ID), Begin: tell, Progress: tell,
	})
}

func (k *Intake) checkpoint(id string) string { return filepath.Join(k.folder(id), "checkpoint.json") }

func (k *Intake) report(id string) string { return filepath.Join(k.folder(id), "rejected.csv") }

func (k *Intake) tell(id string, f func(*IntakeStatus)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.jobs[id].IntakeStatus)
}

// Status reads one upload; absent is ekyc.ErrAbsent.
func (k *Intake) Status(id string) (IntakeStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.job(id)
	if err != nil {
		return IntakeStatus{}, err
	}
	return j.IntakeStatus, nil
}

// List reads all uploads, newest first.
func (k *Intake) List() []IntakeStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]IntakeStatus, 0, len(k.jobs))
	for _, j := range k.jobs {
		list = append(list, j.IntakeStatus)
	}
	slices.SortFunc(list, func(a, b IntakeStatus) int { return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Report reads which lines did not come in, and why, as CSV; absent is ekyc.ErrAbsent.
func (k *Intake) Report(id string) ([]byte, error) {
	if _, err := k.Status(id); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(k.report(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read report: %w", ekyc.ErrAbsent)
	}
	return b, err
}

// Remove erases an upload that does not run, with its report. An absent one is success.
func (k *Intake) Remove(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.jobs[id]
	if j == nil {
		return nil
	}
	if j.State == IntakeRunning {
		return ErrIntake("the import is running; stop it first")
	}
	return k.forget(id)
}

// sealedFile reads an uploaded file at any place. Safe for concurrent use.
type sealedFile struct {
	f      *os.File
	sealer ekyc.Sealer
	job    *intakeJob
	name   IntakeFile
	size   int64

	mu     sync.Mutex
	recent []piece // last used first
}

type piece struct {
	n     int64
	plain []byte
}

// recentPieces are kept opened: an archive is read at its end, and in as many places as there
// are workers. Our choice.
const recentPieces = 16

func (k *Intake) open(j *intakeJob, name IntakeFile, size int64) (*sealedFile, error) {
	f, err := os.Open(filepath.Join(k.folder(j.ID), string(name)))
	if err != nil {
		return nil, fmt.Errorf("read what was uploaded: %w", err)
	}
	return &sealedFile{f: f, sealer: k.Registry.Sealer, job: j, name: name, size: size}, nil
}

// ReadAt is io.ReaderAt's.
func (s *sealedFile) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		if at+int64(n) >= s.size {
			return n, io.EOF
		}
		plain, err := s.piece((at + int64(n)) / sealedPiece)
		if err != nil {
			return n, err
		}
		from := (at + int64(n)) % sealedPiece
		if from >= int64(len(plain)) {
			return n, io.ErrUnexpectedEOF
		}
		n += copy(p[n:], plain[from:])
	}
	return n, nil
}

func (s *sealedFile) piece(n int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.recent, func(p piece) bool { return p.n == n }); i >= 0 {
		p := s.recent[i]
		s.recent = slices.Insert(slices.Delete(s.recent, i, i+1), 0, p)
		return p.plain, nil
	}
	// What a piece has beside its plain bytes is known from how it was sealed: it ends where the
	// next begins, or the file does.
	buf := make([]byte, pieceStride)
	got, err := s.f.ReadAt(buf, n*pieceStride)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read what was uploaded: %w", err)
	}
	want := int(min(sealedPiece, s.size-n*sealedPiece)) + s.overhead()
	if got < want {
		return nil, errors.New("read what was uploaded: the file is cut")
	}
	plain, err := s.sealer.Open(s.job.Key, buf[:want], pieceContext(s.job.ID, s.name, n))
	if err != nil {
		return nil, fmt.Errorf("open what was uploaded: %w", err)
	}
	s.recent = slices.Insert(s.recent, 0, piece{n, plain})
	s.recent = s.recent[:min(len(s.recent), recentPieces)]
	return plain, nil
}

// overhead is how many bytes sealing adds: what the file has beyond its last whole stride.
func (s *sealedFile) overhead() int {
	info, err := s.f.Stat()
	if err != nil || s.size == 0 {
		return 0
	}
	last := (s.size - 1) / sealedPiece
	return int(info.Size() - last*pieceStride - (s.size - last*sealedPiece))
}

// budget bounds how much is read before it is freed: the list of an archive's files goes into
// memory as a whole.
type budget struct {
	r    io.ReaderAt
	left int64
	free atomic.Bool
}

func (b *budget) ReadAt(p []byte, at int64) (int, error) {
	if !b.free.Load() {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, errors.New("the list of files is too long")
		}
	}
	return b.r.ReadAt(p, at)
}

// zipped reads files of an archive by name, in whatever folder of it they lie. Nothing is
// written anywhere, so no name in the archive can lead out of a folder; each file is read
// within the bounds of an image.
func zipped(r io.ReaderAt, size int64) (func(name string) ([]byte, error), error) {
	list := &budget{r: r, left: maxDirectory}
	z, err := zip.NewReader(list, size)
	list.free.Store(true)
	if err != nil {
		return nil, ErrIntake("the archive of portraits is no ZIP file, or is damaged")
	}
	if len(z.File) > maxPictures {
		return nil, ErrIntake(fmt.Sprintf("the archive has more than %d files; divide it", maxPictures))
	}
	byName := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		name := strings.ReplaceAll(zipName(f), `\`, "/")
		byName[path.Clean("/" + name)[1:]] = f
		if base := path.Base(name); byName[base] == nil {
			byName[base] = f
		}
	}
	return func(name string) ([]byte, error) {
		f := byName[path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))[1:]]
		if f == nil {
			return nil, fs.ErrNotExist
		}
		in, err := f.Open()
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return ReadPortrait(in)
	}, nil
}

// zipName is a file's name in an archive: UTF-8, or GB 18030 as archives of Chinese Windows
// have it.
func zipName(f *zip.File) string {
	if !f.NonUTF8 || utf8.ValidString(f.Name) {
		return f.Name
	}
	b, err := io.ReadAll(simplifiedchinese.GB18030.NewDecoder().Reader(bytes.NewReader([]byte(f.Name))))
	if err != nil {
		return f.Name
	}
	return string(b)
}
