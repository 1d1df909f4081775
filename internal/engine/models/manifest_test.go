package models_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shiren/internal/engine/enginetest"
	"shiren/internal/engine/models"
)

func load(t *testing.T) *models.Manifest {
	t.Helper()
	m, err := models.Load("dir", "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every file names a package, every network a file, a licence and a card that exists.
func TestBuiltInManifestIsWhole(t *testing.T) {
	m := load(t)
	packages := map[string]models.Package{}
	for _, p := range m.Packages {
		packages[p.Spec()] = p
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.Integrity, "sha512-"))
		if err != nil || len(sum) != 64 || p.Licence == "" {
			t.Errorf("%s: integrity %q or licence %q is wrong", p.Spec(), p.Integrity, p.Licence)
		}
	}
	files := map[string]models.File{}
	for _, f := range m.Files {
		if _, ok := packages[f.Package]; !ok {
			t.Errorf("%s: no package %q", f.Path, f.Package)
		}
		if len(f.SHA256) != 64 || f.Size <= 0 || !strings.HasPrefix(f.Member, "package/") || !filepath.IsLocal(f.Path) {
			t.Errorf("%s: its entry is wrong: %+v", f.Path, f)
		}
		if _, twice := files[f.Path]; twice {
			t.Errorf("%s is listed twice", f.Path)
		}
		files[f.Path] = f
	}
	for _, role := range models.Roles() {
		n := m.Models[role]
		if f := files[n.File]; f.SHA256 != n.SHA256 || f.Size != n.Size || !strings.Contains(n.Source, f.Package) || !strings.Contains(n.Source, f.Member) {
			t.Errorf("%s: the network's entry and its file's differ", role)
		}
		if n.Licence == "" {
			t.Errorf("%s: no licence", role)
		}
		card, err := os.ReadFile(filepath.Join(enginetest.Root(t), n.Card))
		if err != nil {
			t.Errorf("%s: no model card: %v", role, err)
		} else if !strings.Contains(string(card), n.SHA256) {
			t.Errorf("%s: the card %s does not name the network's sha256", role, n.Card)
		}
	}
}

func TestLibraryIsThereForThisSystem(t *testing.T) {
	f, err := load(t).Library()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(enginetest.Dir(t)); err != nil {
		t.Error(err)
	}
	if err := f.Verify(t.TempDir()); err == nil || !strings.Contains(err.Error(), "shiren models fetch") {
		t.Errorf("in an empty directory: got %v, want what to do next", err)
	}
}

// change loads a user's manifest made of the built-in entry of a role, changed.
func change(t *testing.T, role models.Role, f func(map[string]any)) error {
	t.Helper()
	data, err := json.Marshal(load(t).Models[role])
	if err != nil {
		t.Fatal(err)
	}
	var entry map[string]any
	if err := json.Unmarshal(data, &entry); err != nil {
		t.Fatal(err)
	}
	f(entry)
	data, err = json.Marshal(map[string]any{"models": map[models.Role]any{role: entry}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "own.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := models.Load("dir", file)
	if err == nil {
		if got, want := m.Models[role].Path(), filepath.Join(filepath.Dir(file), "face"); !strings.HasPrefix(got, want) {
			t.Errorf("the network's path is %s, want it below the manifest's %s", got, want)
		}
	}
	return err
}

func TestUserManifestIsChecked(t *testing.T) {
	points := func(p ...[2]float64) any {
		var list []map[string]float64
		for _, x := range p {
			list = append(list, map[string]float64{"raw": x[0], "rate": x[1]})
		}
		return map[string]any{"default": "mine", "tables": []any{map[string]any{"name": "mine", "measured_on": "a set", "points": list}}}
	}
	for name, c := range map[string]struct {
		role models.Role
		f    func(map[string]any)
		says string // "" for no mistake
	}{
		"unchanged":                  {models.Embed, func(map[string]any) {}, ""},
		"another threshold":          {models.Detect, func(m map[string]any) { m["detect"] = map[string]any{"face": 0, "min_confidence": .5, "overlap": .4} }, ""},
		"an unknown key":             {models.Pose, func(m map[string]any) { m["colour"] = "red" }, "colour"},
		"no sha256":                  {models.Eyes, func(m map[string]any) { m["sha256"] = "12" }, "64 hexadecimal"},
		"a channel order of its own": {models.Eyes, func(m map[string]any) { m["input"].(map[string]any)["channels"] = "hsv" }, "rgb, bgr or gray"},
		"too few means":              {models.Embed, func(m map[string]any) { m["input"].(map[string]any)["mean"] = []float64{1} }, "3 values"},
		"a std of 0":                 {models.Embed, func(m map[string]any) { m["input"].(map[string]any)["std"] = []float64{1, 0, 1} }, "none of 0"},
		"an input of no size":        {models.Liveness, func(m map[string]any) { m["input"].(map[string]any)["width"] = 0 }, "8 to 1024"},
		"four template points":       {models.Embed, func(m map[string]any) { m["align"] = [][2]float64{{1, 1}, {2, 2}, {3, 3}, {4, 4}} }, "5 points"},
		"no calibration":             {models.Liveness, func(m map[string]any) { delete(m, "calibration") }, "calibration is needed"},
		"a calibration":              {models.Embed, func(m map[string]any) { m["calibration"] = points([2]float64{.2, 1e-2}, [2]float64{.4, 1e-4}) }, ""},
		"rising FMR":                 {models.Embed, func(m map[string]any) { m["calibration"] = points([2]float64{.2, 1e-4}, [2]float64{.4, 1e-2}) }, "in order"},
		"falling BPCER":              {models.Liveness, func(m map[string]any) { m["calibration"] = points([2]float64{.2, 1e-2}, [2]float64{.4, 1e-4}) }, "in order"},
		"a rate of 0":                {models.Embed, func(m map[string]any) { m["calibration"] = points([2]float64{.2, 1e-2}, [2]float64{.4, 0}) }, "between 0 and 1"},
		"one point":                  {models.Embed, func(m map[string]any) { m["calibration"] = points([2]float64{.2, 1e-2}) }, "at least 2"},
		"two outputs of pose":        {models.Pose, func(m map[string]any) { m["outputs"] = []string{"a", "b"} }, "3 names"},
		"a sign of 2":                {models.Pose, func(m map[string]any) { m["pose"].(map[string]any)["yaw"] = map[string]any{"sign": 2, "rest": 0} }, "1 or -1"},
		"a crop of nothing":          {models.Liveness, func(m map[string]any) { m["crop"] = 0 }, "crop"},
		"a level of an eye": {models.Eyes, func(m map[string]any) {
			m["input"].(map[string]any)["level"] = map[string]any{"mean": .5, "deviation": .1}
		}, ""},
		"a level without deviation": {models.Eyes, func(m map[string]any) { m["input"].(map[string]any)["level"] = map[string]any{"mean": .5} }, "level is for eyes"},
		"a level of a pose": {models.Pose, func(m map[string]any) {
			m["input"].(map[string]any)["level"] = map[string]any{"mean": .5, "deviation": .1}
		}, "level is for eyes"},
		"a role of its own": {models.Role("age"), func(m map[string]any) {}, "no role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := change(t, c.role, c.f)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}
