package server

import (
	"slices"
	"testing"

	"shiren/internal/config"
	"shiren/internal/source/upstream"
)

// TestConfigKnowsAllSources keeps the configuration's words and the sources' together.
func TestConfigKnowsAllSources(t *testing.T) {
	t.Parallel()
	if got, want := config.SourceKinds, upstream.Kinds(); !slices.Equal(got, want) {
		t.Errorf("the configuration knows %v, the sources are %v", got, want)
	}
	for _, kind := range config.SourceKinds {
		_, err := upstream.Open(upstream.Config{Name: "x", Kind: kind, Answers: config.SourceAnswers})
		if err != nil && kind != upstream.BaiduMatchV4 { // which wants portraits
			t.Errorf("%s: %v", kind, err)
		}
	}
}
