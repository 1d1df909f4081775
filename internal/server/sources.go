package server

import (
	"math"
	"slices"
	"time"

	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
)

// openSources makes the registry and the declared sources ready to be asked.
func (d *Data) openSources(o Options) ([]ekyc.Source, error) {
	local := ekyc.Source{Name: config.RegistrySource, Identity: d.Registry, Portrait: d.Registry, Mobile: d.Registry}
	list := []ekyc.Source{local}
	for _, c := range d.Config.Sources {
		cfg := upstream.Config{
			Name: c.Name, Kind: c.Kind, Address: c.Address, Key: c.Key, Secret: string(c.Secret), Cost: int64(math.Round(c.Cost * 1e6)),
			Timeout: time.Duration(c.Timeout), Answers: c.Answers, Local: local,
			Journal: d.Store.Calls(), Now: o.Now, Rand: o.Rand, Log: o.Log,
		}
		if d.figures != nil {
			cfg.Observer = d.figures
		}
		s, err := upstream.Open(cfg)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// single fills the fields for questions that name no source: by the configured order,
// where one interface can stand for several sources. A face is compared here as long as
// one source of the order has portraits, else by the first that compares itself.
func (d *Data) single(s *ekyc.Service) {
	r := ekyc.Route{NextOn: ekyc.NextOn}
	identity, mobile := false, false
	for _, name := range s.Order {
		i := slices.IndexFunc(s.Sources, func(x ekyc.Source) bool { return x.Name == name })
		x := s.Sources[i] // the configuration was checked
		r.Sources = append(r.Sources, x)
		identity, mobile = identity || x.Identity != nil, mobile || x.Mobile != nil
		if s.Portrait == nil {
			s.Portrait = x.Portrait
		}
		if s.Face == nil {
			s.Face = x.Face
		}
	}
	if s.Portrait != nil {
		s.Face = nil
	}
	if identity {
		s.Identity = r
	}
	if mobile {
		s.Mobile = r
	}
}
