// Package blobtest holds every ekyc.Blobs to the same promises.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"shiren/internal/ekyc"
)

// Run tests the blobs that open returns: an empty collection each time.
func Run(t *testing.T, open func(t *testing.T) ekyc.Blobs) {
	const ref = "000102030405060708090a0b0c0d0e0f"

	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		for _, data := range [][]byte{{}, []byte("sealed"), bytes.Repeat([]byte{0, 255}, 1<<20)} {
			if err := b.Put(ctx, ref, data); err != nil {
				t.Fatalf("Put of %d bytes: %v", len(data), err)
			}
			got, err := b.Get(ctx, ref)
			if err != nil {
				t.Fatalf("Get after Put of %d bytes: %v", len(data), err)
			}
			if !bytes.Equal(got, data) {
				t.Errorf("Get gave %d bytes, want the %d that were put last", len(got), len(data))
			}
		}
	})

	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		if _, err := b.Get(ctx, ref); !errors.Is(err, ekyc.ErrAbsent) {
			t.Errorf("Get of an absent ref said %v, want ErrAbsent", err)
		}
		if err := b.Delete(ctx, ref); err != nil {
			t.Errorf("Delete of an absent ref said %v, want success", err)
		}
	})

	t.Run("delete, twice", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		other := strings.Replace(ref, "0f", "0e", 1)
		for _, r := range []string{ref, other} {
			if err := b.Put(ctx, r, []byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := b.Delete(ctx, ref); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Get(ctx, ref); !errors.Is(err, ekyc.ErrAbsent) {
				t.Errorf("Get after Delete said %v, want ErrAbsent", err)
			}
		}
		if got, err := b.Get(ctx, other); err != nil || string(got) != other {
			t.Errorf("Get of the neighbour = %q, %v; want it untouched", got, err)
		}
	})

	t.Run("no other form of reference", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		for _, bad := range []string{
			"", ".", "..", "00", "../../../../etc/passwd", "/etc/passwd",
			"../" + ref[:29], ref[:2] + "/" + ref[3:], ref[:31] + "\x00", ref + "0", ref[:31],
			strings.ToUpper(ref), strings.Repeat("g", 32), ref + "/", ref + "\n", strings.Repeat("０", 32),
		} {
			if err := b.Put(ctx, bad, []byte("x")); err == nil {
				t.Errorf("Put took the reference %q", bad)
			}
			if _, err := b.Get(ctx, bad); err == nil {
				t.Errorf("Get took the reference %q", bad)
			}
			if err := b.Delete(ctx, bad); err == nil {
				t.Errorf("Delete took the reference %q", bad)
			}
		}
	})

	// A reader sees one whole blob or another, never a mixture or a beginning.
	t.Run("writers and readers of one reference", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		whole := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100_000+i) }
		if err := b.Put(ctx, ref, whole(0)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := b.Put(ctx, ref, whole(i)); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				got, err := b.Get(ctx, ref)
				if err != nil {
					t.Error(err)
				} else if !bytes.Equal(got, whole(int(got[0]))) {
					t.Errorf("Get gave %d bytes starting with %d: not a blob that was put", len(got), got[0])
				}
			})
		}
		wg.Wait()
	})

	t.Run("many", func(t *testing.T) {
		t.Parallel()
		b, ctx := open(t), t.Context()
		name := func(i int) string { return fmt.Sprintf("%02x%030x", i*7%256, i) }
		for i := range 100 {
			if err := b.Put(ctx, name(i), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if got, err := b.Get(ctx, name(i)); err != nil || len(got) != 1 || got[0] != byte(i) {
				t.Errorf("blob %d = %v, %v", i, got, err)
			}
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Put(ctx, ref, []byte("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Put with a cancelled context said %v, want %v", err, context.Canceled)
		}
		if _, err := b.Get(t.Context(), ref); !errors.Is(err, ekyc.ErrAbsent) {
			t.Errorf("a cancelled Put left something: %v", err)
		}
	})
}
