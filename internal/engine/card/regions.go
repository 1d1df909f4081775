package card

import (
	"encoding/json"
	"fmt"
)

// regions are the administrative divisions of GB/T 2260 and their names.
type regions struct {
	provinces map[string]string   // by two digits
	counties  map[string][]county // by six digits and, under "", all
}

// county is a division of the third level, or of the second that has none below.
type county struct{ code, province, city, name string }

type division struct {
	Code     string     `json:"c"`
	Name     string     `json:"n"`
	Children []division `json:"d"`
}

func parseRegions(data []byte) (*regions, error) {
	var list []division
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("the table of regions: %w", err)
	}
	r := &regions{provinces: map[string]string{}, counties: map[string][]county{}}
	add := func(c county) {
		r.counties[c.code] = append(r.counties[c.code], c)
		r.counties[""] = append(r.counties[""], c)
	}
	for _, p := range list {
		if len(p.Code) != 6 {
			return nil, fmt.Errorf("the table of regions has the code %q", p.Code)
		}
		r.provinces[p.Code[:2]] = p.Name
		for _, c := range p.Children {
			if len(c.Children) == 0 {
				add(county{c.Code, p.Name, "", c.Name})
				continue
			}
			for _, d := range c.Children {
				add(county{d.Code, p.Name, c.Name, d.Name})
			}
		}
	}
	// Residence permits: State Council order of 2018.
	for _, c := range []string{"81", "82", "83"} {
		if r.provinces[c] == "" {
			r.provinces[c] = c
		}
	}
	return r, nil
}

func (r *regions) known(province string) bool { return r.provinces[province] != "" }
