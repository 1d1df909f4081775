// Package models knows the files that the engine stands on: which they are, where they
// come from, how to fetch and verify them, and, for each network, how its input is
// prepared and what its output means. All of that is the manifest.
//
// A user's manifest may replace the network of any role. What follows from the
// manifest: input size, channel order, mean and standard deviation, crop, alignment
// template, indices, thresholds and calibration. What is code: the memory layout
// (NCHW, float32, one input), the detector's output form (scores [N,2] and boxes [N,4]
// as corners normalised to the letterboxed input), and the 68 landmarks in the iBUG
// 300-W order.
package models

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

//go:embed manifest.json
var builtIn []byte

// Role is what a network is for.
type Role string

// The roles; the engine needs a network for each.
const (
	Detect    Role = "detect"
	Landmarks Role = "landmarks"
	Embed     Role = "embed"
	Liveness  Role = "liveness"
	Pose      Role = "pose"
	Eyes      Role = "eyes"
)

// Roles lists every role once, in the order of use.
func Roles() []Role { return []Role{Detect, Landmarks, Pose, Eyes, Liveness, Embed} }

// Group is a set of files that is fetched together.
type Group string

// Groups. Runtime and Face are what the server needs, Card what reading identity
// documents needs besides; Test is used by tests only.
const (
	GroupRuntime Group = "runtime"
	GroupFace    Group = "face"
	GroupCard    Group = "card"
	GroupTest    Group = "test"
)

// Manifest describes packages, files and networks.
type Manifest struct {
	Packages []Package      `json:"packages,omitempty"`
	Files    []File         `json:"files,omitempty"`
	Models   map[Role]Model `json:"models"`
}

// Package is an npm package, pinned.
type Package struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Integrity string `json:"integrity"` // "sha512-" and base64, of the tarball
	Licence   string `json:"licence"`
}

// Spec is the package's name@version.
func (p Package) Spec() string { return p.Name + "@" + p.Version }

// File is one member of a package and where it lies below the models' directory.
type File struct {
	Group   Group  `json:"group"`
	Path    string `json:"path"`
	OS      string `json:"os,omitempty"`   // GOOS that needs it; empty for all
	Arch    string `json:"arch,omitempty"` // GOARCH that needs it
	Package string `json:"package"`        // a package's Spec
	Member  string `json:"member"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"`
}

// Model is one network.
type Model struct {
	Name    string `json:"name"`
	File    string `json:"file"` // below the models' directory; in a user's manifest below its own
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"`
	Licence string `json:"licence"`
	Source  string `json:"source"`
	Card    string `json:"card,omitempty"` // its model card, below the repository's root
	Input   Input  `json:"input"`
	// Outputs are the names of the outputs in the role's order: detect scores, boxes;
	// pose yaw, pitch, roll; the others one.
	Outputs []string `json:"outputs"`
	// Crop is the side of the input's box as a multiple of the face's (liveness, pose)
	// or of the eye's width (eyes).
	Crop float64 `json:"crop,omitempty"`
	// Index is the output's element that means bona fide (liveness) or closed (eyes).
	Index int `json:"index,omitempty"`
	// Align is where eye centres (image-left first), nose tip and mouth corners are
	// brought to, in pixels of the input (embed).
	Align       [][2]float64 `json:"align,omitempty"`
	Detect      *Detector    `json:"detect,omitempty"`
	Pose        *Angles      `json:"pose,omitempty"`
	Calibration *Calibration `json:"calibration,omitempty"` // embed, liveness

	path string
}

// Path is the network's file, set by Load.
func (m Model) Path() string { return m.path }

// ID names the network and its content. Templates of another ID are not comparable.
func (m Model) ID() string { return m.Name + "-" + m.SHA256[:16] }

// Input says how pixels become a network's input: (x-mean)/std with x from 0 to 255.
type Input struct {
	Width    int       `json:"width"`
	Height   int       `json:"height"`
	Channels string    `json:"channels"` // rgb, bgr or gray
	Mean     []float64 `json:"mean"`     // one a channel
	Std      []float64 `json:"std"`
	// Level brings each eye's luma to a mean and a deviation first (eyes, gray).
	Level *Level `json:"level,omitempty"`
}

// Level is a mean and a standard deviation of luma, 0 to 1.
type Level struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
}

// Detector says how a detector's output is read.
type Detector struct {
	Face          int     `json:"face"`           // the column of scores that means face
	MinConfidence float64 `json:"min_confidence"` // boxes below are dropped
	Overlap       float64 `json:"overlap"`        // of two boxes with a larger intersection over union the weaker is dropped
}

// Angles say how a pose network's degrees become ours: sign*(raw-rest).
type Angles struct {
	Yaw   Angle `json:"yaw"`
	Pitch Angle `json:"pitch"`
	Roll  Angle `json:"roll"`
}

// Angle is one of Angles.
type Angle struct {
	Sign float64 `json:"sign"` // 1 or -1
	Rest float64 `json:"rest"` // the raw degrees of a face that looks straight ahead
}

// Calibration holds tables from raw scores to error rates, by the population that
// they were measured on.
type Calibration struct {
	Default string  `json:"default"`
	Tables  []Table `json:"tables"`
}

// Table is one population's calibration.
type Table struct {
	Name       string  `json:"name"`
	MeasuredOn string  `json:"measured_on"`
	Points     []Point `json:"points"` // by rising raw score
}

// Point says that a raw score as threshold gave an error rate: the false match rate of
// a cosine (embed), the bona fide rejection rate of a silent PAD score (liveness).
type Point struct {
	Raw  float64 `json:"raw"`
	Rate float64 `json:"rate"`
	// Extrapolated marks a rate that the set was too small to measure.
	Extrapolated bool `json:"extrapolated,omitempty"`
}

// Table returns the table of a name, the default for "".
func (c *Calibration) Table(name string) (Table, error) {
	if name == "" {
		name = c.Default
	}
	var names []string
	for _, t := range c.Tables {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Table{}, fmt.Errorf("no calibration table %q; the manifest has %s", name, strings.Join(names, ", "))
}

// Load reads the built-in manifest for a models' directory and lays the user's over
// it: each role in the user's file replaces the built-in one whole. user may be empty.
func Load(dir, user string) (*Manifest, error) {
	m, err := parse(builtIn)
	if err != nil {
		return nil, fmt.Errorf("built-in manifest: %w", err)
	}
	for role, model := range m.Models {
		model.path = filepath.Join(dir, filepath.FromSlash(model.File))
		m.Models[role] = model
	}
	if user != "" {
		data, err := os.ReadFile(user)
		if err != nil {
			return nil, fmt.Errorf("models manifest: %w", err)
		}
		own, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("models manifest %s: %w", user, err)
		}
		if len(own.Files) > 0 || len(own.Packages) > 0 {
			return nil, fmt.Errorf("models manifest %s: \"files\" and \"packages\" belong to the built-in manifest; name a network's file in its \"file\"", user)
		}
		for role, model := range own.Models {
			model.path = filepath.FromSlash(model.File)
			if !filepath.IsAbs(model.path) {
				model.path = filepath.Join(filepath.Dir(user), model.path)
			}
			m.Models[role] = model
		}
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("models manifest %s: %w", user, err)
	}
	return m, nil
}

func parse(data []byte) (*Manifest, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var m Manifest
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return &m, nil
}

// validate reports every mistake at once.
func (m *Manifest) validate() error {
	var errs []error
	for role := range m.Models {
		if !slices.Contains(Roles(), role) {
			errs = append(errs, fmt.Errorf("no role %q; the roles are %v", role, Roles()))
		}
	}
	for _, role := range Roles() {
		model, ok := m.Models[role]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no network", role))
			continue
		}
		for _, what := range model.mistakes(role) {
			errs = append(errs, fmt.Errorf("%s: %s", role, what))
		}
	}
	return errors.Join(errs...)
}

func (m Model) mistakes(role Role) []string {
	var list []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	check(m.Name != "" && m.File != "", "name and file are needed")
	sum, err := hex.DecodeString(m.SHA256)
	check(err == nil && len(sum) == sha256.Size, "sha256 must be 64 hexadecimal digits")
	in := m.Input
	check(in.Width >= 8 && in.Width <= 1024 && in.Height >= 8 && in.Height <= 1024, "input: width and height must be 8 to 1024")
	planes := map[string]int{"rgb": 3, "bgr": 3, "gray": 1}[in.Channels]
	check(planes > 0, "input: channels must be rgb, bgr or gray")
	check(len(in.Mean) == planes && len(in.Std) == planes && !slices.Contains(in.Std, 0), "input: mean and std need %d values, std none of 0", planes)
	if l := in.Level; l != nil {
		check(role == Eyes && planes == 1 && l.Mean > 0 && l.Mean < 1 && l.Deviation > 0 && l.Deviation <= 0.5,
			"input: level is for eyes in gray, its mean between 0 and 1, its deviation above 0 and at most 0.5")
	}
	outputs := map[Role]int{Detect: 2, Pose: 3}[role]
	check(len(m.Outputs) == max(outputs, 1), "outputs: %d names are needed", max(outputs, 1))
	switch role {
	case Detect:
		check(m.Detect != nil && m.Detect.Face >= 0 && m.Detect.Face <= 1, "detect.face must be 0 or 1")
		check(m.Detect == nil || m.Detect.MinConfidence > 0 && m.Detect.MinConfidence < 1, "detect.min_confidence must lie between 0 and 1")
		check(m.Detect == nil || m.Detect.Overlap > 0 && m.Detect.Overlap < 1, "detect.overlap must lie between 0 and 1")
	case Embed:
		check(len(m.Align) == 5, "align: 5 points are needed")
		list = append(list, m.Calibration.mistakes(-1, -1)...)
	case Liveness:
		list = append(list, m.Calibration.mistakes(0, 1)...)
	case Pose:
		check(m.Pose != nil, "pose is needed")
		for _, a := range m.Pose.list() {
			check(a.Sign == 1 || a.Sign == -1, "pose: sign must be 1 or -1")
		}
	}
	if role == Liveness || role == Pose || role == Eyes {
		check(m.Crop >= 1 && m.Crop <= 8, "crop must be 1 to 8")
		check(m.Index >= 0 && m.Index < 1000, "index must not be negative")
	}
	return list
}

func (a *Angles) list() []Angle {
	if a == nil {
		return nil
	}
	return []Angle{a.Yaw, a.Pitch, a.Roll}
}

// mistakes checks tables; direction is the sign in which rates go as raw scores rise.
func (c *Calibration) mistakes(least, direction float64) []string {
	if c == nil {
		return []string{"calibration is needed"}
	}
	var list []string
	if _, err := c.Table(""); err != nil {
		list = append(list, "calibration.default: "+err.Error())
	}
	for _, t := range c.Tables {
		if len(t.Points) < 2 {
			list = append(list, fmt.Sprintf("calibration table %q: at least 2 points are needed", t.Name))
		}
		for i, p := range t.Points {
			if p.Raw < least || p.Raw > 1 || p.Rate <= 0 || p.Rate >= 1 || math.IsNaN(p.Raw) {
				list = append(list, fmt.Sprintf("calibration table %q: point %d: raw must be a score and rate between 0 and 1", t.Name, i+1))
			}
			if i > 0 && (p.Raw <= t.Points[i-1].Raw || (p.Rate-t.Points[i-1].Rate)*direction <= 0) {
				list = append(list, fmt.Sprintf("calibration table %q: point %d: points must be in order", t.Name, i+1))
			}
		}
	}
	return list
}

// Library returns the ONNX Runtime library's file entry for this system.
func (m *Manifest) Library() (File, error) {
	for _, f := range m.Files {
		if f.Group == GroupRuntime && f.here() {
			return f, nil
		}
	}
	return File{}, fmt.Errorf("the manifest has no ONNX Runtime for %s/%s; it is there for linux/amd64, linux/arm64 and darwin/arm64", runtime.GOOS, runtime.GOARCH)
}

// ReadFile returns the content of a file of the manifest, named by its path below the
// models' directory dir, after checking its sha256.
func (m *Manifest) ReadFile(dir, path string) ([]byte, error) {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.Path == path })
	if i < 0 {
		return nil, fmt.Errorf("the manifest has no file %s", path)
	}
	f := m.Files[i]
	return Model{Name: f.Path, SHA256: f.SHA256, path: filepath.Join(dir, filepath.FromSlash(path))}.Read()
}

// here tells whether this system needs the file.
func (f File) here() bool {
	return (f.OS == "" || f.OS == runtime.GOOS) && (f.Arch == "" || f.Arch == runtime.GOARCH)
}

// Read returns the content of a network's file after checking its sha256.
func (m Model) Read() ([]byte, error) {
	f, err := os.Open(m.path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w; fetch it with: shiren models fetch", m.Name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMember))
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != strings.ToLower(m.SHA256) {
		return nil, fmt.Errorf("model %s: %s does not have the sha256 of the manifest; fetch it again with: shiren models fetch", m.Name, m.path)
	}
	return data, nil
}

// Verify checks the file below the models' directory against its sha256.
func (f File) Verify(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	switch state, err := check(path, f, true); {
	case err != nil:
		return err
	case state == Missing:
		return fmt.Errorf("%s is missing; fetch it with: shiren models fetch", path)
	case state == Wrong:
		return fmt.Errorf("%s does not have the sha256 of the manifest; fetch it again with: shiren models fetch", path)
	}
	return nil
}
