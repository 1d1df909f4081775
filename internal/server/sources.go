package server

import (
	"math"
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
