package cnid

import "testing"

// The table's numbers are 3,500, 3,000 and 1,605; the first two levels are GB 2312's but for few.
func TestCharacters(t *testing.T) {
	t.Parallel()
	seen := map[rune]bool{}
	for _, c := range ThirdLevel + BeyondGB2312 {
		if seen[c] {
			t.Errorf("%c stands twice", c)
		}
		seen[c] = true
	}
	if n, m := len([]rune(ThirdLevel)), len([]rune(BeyondGB2312)); n != 1605 || m != 190 {
		t.Errorf("%d and %d characters, want 1605 and 190", n, m)
	}
	for _, c := range "赟翀喆垚淼堃" {
		if !seen[c] {
			t.Errorf("%c is missing", c)
		}
	}
}
