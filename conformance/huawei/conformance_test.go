package huawei

import (
	"flag"
	"testing"

	"shiren/conformance/fixture"
)

var update = flag.Bool("update", false, "rewrite the replies of the fixtures")

func TestDocumentedCases(t *testing.T) {
	fixture.Run(t, 60, *update, func(t *testing.T) fixture.Case { return newWorld(t) })
}
