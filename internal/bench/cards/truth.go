package cards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shiren/internal/ekyc"
)

// TruthFile is the list beside a folder's pictures.
const TruthFile = "truth.json"

// Record is one picture of a folder and what it shows; truth.json is a list of them.
type Record struct {
	File    string        `json:"file"` // below the folder
	Level   Level         `json:"level"`
	Side    ekyc.CardSide `json:"side"` // that a reader is asked for
	Truth   Person        `json:"truth"`
	Damage  Damage        `json:"aug"`
	Quality int           `json:"jpeg"`
	Size    [2]int        `json:"size"`
	// Odd names what is in a picture that is not simply a card to be read. Such pictures
	// are in no level's figures.
	Odd Odd `json:"odd,omitempty"`
	// Want lists the statuses that are right for an odd picture.
	Want []ekyc.CardStatus `json:"want,omitempty"`
	// Flags that a reading must bear.
	Flags []ekyc.CardFlag `json:"flags,omitempty"`
}

// ReadTruth reads a folder's list and checks that it can be measured against.
func ReadTruth(dir string) ([]Record, error) {
	path := filepath.Join(dir, TruthFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no %s; it lists the pictures and what they say", dir, TruthFile)
	}
	if err != nil {
		return nil, err
	}
	var list []Record
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s lists no pictures", path)
	}
	for i, r := range list {
		switch {
		case !filepath.IsLocal(filepath.FromSlash(r.File)):
			return nil, fmt.Errorf("%s: entry %d: file must be a name below the folder", path, i)
		case r.Side != ekyc.CardFront && r.Side != ekyc.CardBack:
			return nil, fmt.Errorf("%s: %s: side is %q; it must be front or back", path, r.File, r.Side)
		case r.Level == "":
			return nil, fmt.Errorf("%s: %s has no level", path, r.File)
		case r.Odd != "" && len(r.Want) == 0:
			return nil, fmt.Errorf("%s: %s is odd and does not say which statuses are right (want)", path, r.File)
		}
	}
	return list, nil
}

// WriteTruth writes a folder's list.
func WriteTruth(dir string, list []Record) error {
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, TruthFile), append(data, '\n'), 0o644)
}
