package config

import (
	"slices"
	"strings"
	"testing"
)

func TestFrameAncestors(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("shiren.toml", []byte(`frame_ancestors = ["'self'", "https://*.bank.example.com"]`), nil, nil)
	if err != nil || !slices.Equal(cfg.FrameAncestors, []string{"'self'", "https://*.bank.example.com"}) {
		t.Errorf("got %q, %v, want both sources", cfg.FrameAncestors, err)
	}
	for _, bad := range []string{"", "a b", "x; script-src *", "a,b", "银行"} {
		if _, err := Parse("shiren.toml", []byte(`frame_ancestors = ["`+bad+`"]`), nil, nil); err == nil || !strings.Contains(err.Error(), "frame_ancestors") {
			t.Errorf("%q: got %v, want it refused by name", bad, err)
		}
	}
}
