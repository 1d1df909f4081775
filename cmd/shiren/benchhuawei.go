package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"shiren/api/huawei"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/huawei"
	"shiren/internal/server"
)

// resultRate is at what rate p99 is taken: the target, queries a second.
const resultRate = 1500

// benchHuawei measures the result query of the Huawei protocol. Requests are signed
// beforehand, so that the load costs as little as it can beside the server.
func (a *app) benchHuawei(ctx context.Context, span time.Duration) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.err, "bench: "+format+"\n", args...) }
	say("two SM2 verifications and one signature, bare")
	dev, err := huawei.GenerateKey(a.rand)
	if err != nil {
		return err
	}
	bare, err := a.bareSM2(dev, 2000)
	if err != nil {
		return err
	}
	t, err := a.startTarget(ctx, cfg)
	if err != nil {
		return err
	}
	defer t.stop()
	m, err := a.huaweiMaterial(ctx, t, dev)
	if err != nil {
		return err
	}

	say("CPU of a result query over HTTP")
	const sample = 3000
	if err := m.sign(sample + 200); err != nil {
		return err
	}
	if _, err := repeat(ctx, a.now, callWorkers, 200, m.query); err != nil { // warm up
		return err
	}
	before, err1 := t.cpu()
	_, err2 := repeat(ctx, a.now, callWorkers, sample, m.query)
	after, err3 := t.cpu()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	each := ms(after-before) / sample

	say("result queries, saturated")
	if err := m.sign(int(4 * resultRate * span.Seconds())); err != nil {
		return err
	}
	top, err := saturate(ctx, a.now, callWorkers, span, m.query)
	if err != nil {
		return err
	}
	rate := min(resultRate, 0.7*top.perSecond)
	say("latency at %.0f a second", rate)
	if err := m.sign(int(rate*span.Seconds()) + 1); err != nil {
		return err
	}
	even, err := steady(ctx, a.now, rate, span, m.query)
	if err != nil {
		return err
	}
	if err := t.stop(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, `Measured on %s with `+"`shiren bench huawei --for %s`"+`, on %s. The load came from the same machine.

| figure | measured | target |
|---|---|---|
| CPU of two SM2 verifications and one signature, bare | %.3f ms | |
| CPU of `+"`face-verification/result`"+` over HTTP: both signatures checked, the traceId stored, the answer signed | %.3f ms | |
| ratio of the two | %.2f | ≤ 2 |
| queries a second, saturated | %.0f | ≥ 1,500 |
| p50 / p99 at %.0f a second | %.1f / %.1f ms | p99 ≤ 25 ms |
`, a.now().UTC().Format(time.DateOnly), span, machine(), bare, each, each/bare, top.perSecond, rate, ms(even.quantile(0.5)), ms(even.quantile(0.99)))
	return err
}

// ownCPU is this process's CPU time.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// bareSM2 is the CPU, in ms, of what a query cannot do without.
func (a *app) bareSM2(key *huawei.PrivateKey, n int) (float64, error) {
	const answer = "resultCode=000000&resultDesc=Success.&verifyResult=true"
	header, body := strings.Repeat("accessToken=DQEBALZh0tlSKKiNDJ9lYYg0&", 10), strings.Repeat("openId=88e9eae2&", 6)
	s1, err1 := huawei.Sign(a.rand, key, header)
	s2, err2 := huawei.Sign(a.rand, key, body)
	before, err3 := ownCPU()
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, err
	}
	pub := key.Public()
	for range n {
		if !huawei.Verify(pub, header, s1) || !huawei.Verify(pub, body, s2) {
			return 0, errors.New("a signature does not verify")
		}
		if _, err := huawei.Sign(a.rand, key, answer); err != nil {
			return 0, err
		}
	}
	after, err := ownCPU()
	return ms(after-before) / float64(n), err
}

// queries are result queries ready to be sent, each once.
type queries struct {
	target   *target
	client   *huawei.Client
	messages []huawei.ResultRequest
	ready    []*http.Request
	next     atomic.Int64
}

// resultSessions is how many sessions the queries ask for in turn: a backend asks for each of
// its own once, so that no figure may rest on asking for one again and again.
const resultSessions = 500

// huaweiMaterial gives the target's app its keys and sessions that were verified.
func (a *app) huaweiMaterial(ctx context.Context, t *target, dev *huawei.PrivateKey) (*queries, error) {
	cfg, err := config.Load(filepath.Join(t.dir, "shiren.toml"), nil, nil)
	if err != nil {
		return nil, err
	}
	d, err := server.Open(ctx, a.quiet(cfg))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	k, err := d.MakeKey(ctx, benchApp, ekyc.KeySign, "PP")
	if err != nil {
		return nil, err
	}
	ours, err := huawei.ParsePublicKey(hex.EncodeToString(k.Public))
	if err != nil {
		return nil, err
	}
	spki, err := dev.Public().SPKI()
	if err != nil {
		return nil, err
	}
	if _, err := d.ImportKey(ctx, benchApp, ekyc.KeySign, "DEV", hex.EncodeToString(spki)); err != nil {
		return nil, err
	}
	plan, err := d.Store.Plan(ctx, benchPlan)
	if err != nil {
		return nil, err
	}
	q := &queries{
		target: t,
		client: &huawei.Client{
			Base: t.base, ClientID: benchApp, ClientSecret: benchSecret, SignKeyID: "DEV", SignKey: dev,
			PlatformSignKeyID: "PP", PlatformSignKey: ours, Now: a.now, Rand: a.rand,
		},
	}
	core := &ekyc.Service{Sealer: d.Sealer}
	for i := range resultSessions {
		now := a.now().UTC()
		s := ekyc.Session{
			Token: ekyc.Token(fmt.Sprintf("BenchmarkBenchmark%06d", i)), App: benchApp, Plan: plan, Opened: now, Opener: gateway.Opener,
			Subject:   ekyc.SubjectID(fmt.Sprintf("88e9eae22447d7a138357cbf0a%06d", i)),
			Agreement: &ekyc.Agreement{Version: plan.Consent.Version, At: now},
		}
		n, err := s.Begin(now, "1")
		if err != nil {
			return nil, err
		}
		if _, err := s.Finish(now, n, ekyc.Findings{Measured: true, Live: 0.97}); err != nil {
			return nil, err
		}
		if err := d.Store.CreateSession(ctx, s); err != nil {
			return nil, err
		}
		q.messages = append(q.messages, huawei.ResultRequest{VerifyResultID: core.Receipt(s.Token, n), OpenID: string(s.Subject)})
	}
	return q, nil
}

// sign makes n queries; what was left of earlier ones is dropped.
func (q *queries) sign(n int) error {
	q.ready = make([]*http.Request, n)
	q.next.Store(0)
	for i := range q.ready {
		r, err := q.client.Request(context.Background(), huawei.PathFaceResult, q.messages[i%len(q.messages)])
		if err != nil {
			return err
		}
		q.ready[i] = r
	}
	return nil
}

// query sends the next one and holds it to its answer.
func (q *queries) query(ctx context.Context) error {
	i := int(q.next.Add(1)) - 1
	if i >= len(q.ready) { // faster than was thought
		return errors.New("there are no signed queries left; choose a shorter --for")
	}
	res, err := q.target.client.Do(q.ready[i].WithContext(ctx))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err == nil && !strings.Contains(string(reply), `"verifyResult":true`) {
		err = fmt.Errorf("%s answered %d: %.300s", huawei.PathFaceResult, res.StatusCode, reply)
	}
	return err
}
