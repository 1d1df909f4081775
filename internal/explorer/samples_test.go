package explorer_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	hw "shiren/api/huawei"
	"shiren/internal/ekyc"
	"shiren/internal/explorer"
	"shiren/internal/gateway/baidu"
	"shiren/internal/gateway/huawei"
	"shiren/internal/gateway/juhe"
	"shiren/internal/testkit"
)

// world is an app in test mode, behind all gateways on a real connection and by the real clock.
type world struct {
	*testkit.Kit
	url, dir string // dir holds keys and pictures
	doc      *openapi3.T
	mu       sync.Mutex // of the kit's clock, by which people go through the page
}

const anybody = "测试"

func exampleCase() ekyc.SandboxCase {
	list := ekyc.SandboxCases()
	return list[slices.IndexFunc(list, func(c ekyc.SandboxCase) bool { return c.Name == "match-match-match" })]
}

func newWorld(t *testing.T) *world {
	w := &world{Kit: testkit.New(t), dir: t.TempDir()}
	w.Service.Now = time.Now // sample programs sign by their own clock
	w.App.Test, w.App.PerSubjectDay = true, 1000
	w.PutApp(w.App)
	mux := http.NewServeMux()
	for _, g := range []struct {
		handler  http.Handler
		prefixes []string
	}{
		{baidu.New(w.Service, baidu.Config{Now: time.Now, Log: w.Log}), baidu.Prefixes},
		{juhe.New(w.Service, juhe.Config{Now: time.Now, Log: w.Log}), juhe.Prefixes},
		{huawei.New(w.Service, huawei.Config{Now: time.Now, Rand: rand.Reader, Log: w.Log}), huawei.Prefixes},
	} {
		for _, p := range g.prefixes {
			mux.Handle(p, g.handler)
		}
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	for id, k := range map[string]ekyc.AppKey{
		"DEV_SIGN": {Use: ekyc.KeySign}, "DEV_ENC": {Use: ekyc.KeyEncrypt}, "PP_SIGN": {Use: ekyc.KeySign, Ours: true}, "PP_ENC": {Use: ekyc.KeyEncrypt, Ours: true},
	} {
		key, err := hw.GenerateKey(rand.Reader)
		w.must(err)
		k.App, k.ID = w.App.ID, id
		k.Public, err = key.Public().SPKI()
		w.must(err)
		der, err := key.PKCS8()
		w.must(err)
		kind := "PRIVATE KEY"
		if k.Ours {
			k.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
			kind, der = "PUBLIC KEY", k.Public
		}
		w.must(w.Kept.PutAppKey(w.Ctx, k))
		w.file(id+".pem", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	picture := ekyc.SandboxPicture(exampleCase().Name)
	for _, name := range []string{"image.jpg", "image2.jpg", "register_image.jpg"} {
		w.file(name, picture)
	}
	text, err := explorer.OpenAPI(w.url, "test")
	w.must(err)
	w.doc, err = openapi3.NewLoader().LoadFromData(text)
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) file(name string, data []byte) {
	w.T.Helper()
	w.must(os.WriteFile(filepath.Join(w.dir, name), data, 0o600))
}

// environment is what a program of an interface finds: credentials, and what earlier calls would
// have answered, made anew for each program.
func (w *world) environment(i explorer.Interface) []string {
	w.T.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Clock.Set(time.Now())
	env := map[string]string{
		"SHIREN_HOST": w.url, "API_KEY": w.App.Key, "SECRET_KEY": string(w.App.Secret), "JUHE_KEY": string(w.App.Bearer),
		"CLIENT_ID": string(w.App.ID), "CLIENT_SECRET": string(w.App.Secret), "PLAN_ID": "3",
		"SIGN_KEY_ID": "DEV_SIGN", "SIGN_KEY": w.dir + "/DEV_SIGN.pem", "ENC_KEY_ID": "DEV_ENC", "ENC_KEY": w.dir + "/DEV_ENC.pem",
		"PLATFORM_SIGN_KEY_ID": "PP_SIGN", "PLATFORM_SIGN_KEY": w.dir + "/PP_SIGN.pem",
		"PLATFORM_ENC_KEY_ID": "PP_ENC", "PLATFORM_ENC_KEY": w.dir + "/PP_ENC.pem", "NO_PROXY": "*",
	}
	number := exampleCase().Number
	declared := func() ekyc.Token {
		s := w.OpenPlan("3")
		c, err := ekyc.ParseClaim(anybody, string(number), ekyc.IDCard)
		w.must(err)
		w.must(w.Declare(w.Ctx, w.App, s.Token, c))
		return s.Token
	}
	subject := ekyc.SubjectID("user-0001")
	face := func() string { // a face verification that somebody went through
		c, err := ekyc.ParseCommonClaim(anybody, string(number))
		w.must(err)
		s, err := w.OpenAs(w.Ctx, w.App, ekyc.Opening{Opener: huawei.Opener, Subject: subject, Claim: c})
		w.must(err)
		a, err := w.Walk(s.Token, testkit.Face{Person: "anybody"})
		w.must(err)
		return w.Receipt(s.Token, a.Ordinal)
	}
	agreed := func(o ekyc.Opening) ekyc.Session {
		o.Opener, o.Subject, o.Consent = huawei.Opener, subject, ekyc.Consent{Version: "1"}
		s, err := w.OpenAs(w.Ctx, w.App, o)
		w.must(err)
		w.must(w.Agree(w.Ctx, s.Token, "1"))
		s, err = w.Attend(w.Ctx, s.Token)
		w.must(err)
		return s
	}
	switch i.ID {
	case "baidu.generate", "baidu.token":
	case "baidu.upload":
		env["VERIFY_TOKEN"] = string(w.OpenPlan("2").Token)
	case "baidu.idcard":
		env["VERIFY_TOKEN"] = string(w.OpenPlan("3").Token)
	case "baidu.media":
		s := w.OpenPlan("5")
		w.must(w.Enrol(w.Ctx, w.App, s.Token, ekyc.SandboxPicture(exampleCase().Name), ekyc.LevelNone, ekyc.LevelNone))
		env["VERIFY_TOKEN"] = string(s.Token)
	case "huawei.face_result":
		env["VERIFY_RESULT_ID"] = face()
	case "huawei.preverify", "huawei.auth_preverify":
		face()
	case "huawei.result":
		face()
		d := func(s string) []byte { b, _ := hexBytes(hw.Digest(s)); return b }
		s := agreed(ekyc.Opening{Purpose: ekyc.PurposeConfirm, Expect: ekyc.Expectation{Name: d(anybody), Number: d(string(number))}})
		env["VERIFY_RESULT_ID"] = w.Receipt(s.Token, s.Attempts[len(s.Attempts)-1].Ordinal)
	case "huawei.auth_result":
		face()
		env["REAL_NAME_AUTH_ID"] = w.DisclosureID(agreed(ekyc.Opening{Purpose: ekyc.PurposeDisclose}).Token)
	default:
		if i.Vendor == explorer.Baidu {
			env["VERIFY_TOKEN"] = string(declared())
		}
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

func hexBytes(s string) (b []byte, err error) {
	_, err = fmt.Sscanf(s, "%x", &b)
	return b, err
}

// wants is what a program must print of an interface's answer, by path of names; every
// interface but the video's has a line.
var wants = map[string]map[string]any{
	"baidu.token": {"expires_in": 2592000.0}, "baidu.generate": {"success": true}, "baidu.idcard": {"result": 1.0}, "baidu.upload": {"success": true},
	"baidu.simple": {"success": true}, "baidu.detail": {"result.verify_result.score": 98.27, "result.idcard_confirm.name": anybody},
	"baidu.stat": {"success": true}, "baidu.media": {"success": true}, "baidu.getall": {"result.verify_count": 1.0},
	"baidu.image": {"file": "answer.bin", "bytes": float64(len(ekyc.SandboxPicture("match-match-match")))}, "baidu.verify_v4": {"result.score": 98.27, "result.verify_status": 0.0},
	"baidu.verify_v3": {"result.score": 98.27}, "baidu.match_v4": {"result.score": 98.27}, "baidu.match_v3": {"result.score": 98.27},
	"baidu.ocr":  {"image_status": "normal", "words_result.姓名.words": "赵六"},
	"juhe.query": {"error_code": 0.0, "result.res": 100.0, "result.score": 982.7}, "juhe.face": {"result.res": 1.0}, "juhe.mobile": {"result.res": 1.0, "result.realname": anybody},
	"huawei.token": {"token_type": "Bearer"}, "huawei.face_preverify": {"resultCode": "000000"}, "huawei.face_result": {"verifyResult": true},
	"huawei.preverify": {"resultCode": "000000"}, "huawei.result": {"verifyResult": true}, "huawei.auth_preverify": {"resultCode": "000000"},
	"huawei.auth_result": {"realName": anybody, "credentialIdNo": string(exampleCase().Number)},
}

// check holds a program's output against what it must say and against the description.
func (w *world) check(t *testing.T, i explorer.Interface, out []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Errorf("printed no JSON: %v: %.400q", err, out)
		return
	}
	for path, want := range wants[i.ID] {
		at := v
		for name := range strings.SplitSeq(path, ".") {
			m, _ := at.(map[string]any)
			at = m[name]
		}
		if at != want {
			t.Errorf("%s is %v, want %v: %.400s", path, at, want, out)
		}
	}
	if len(i.Binary) > 0 {
		return
	}
	s := w.doc.Components.Schemas[strings.ReplaceAll(i.ID, ".", "_")+"_answer"].Value
	if err := s.VisitJSON(v); err != nil {
		t.Errorf("the answer is not as described: %v: %.400s", err, out)
	}
	// Nothing is answered that is not described.
	var known func(at string, fields []explorer.Field, v any)
	known = func(at string, fields []explorer.Field, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				known(at, fields, e)
			}
		case map[string]any:
			for name, e := range v {
				n := slices.IndexFunc(fields, func(f explorer.Field) bool { return f.Name == name })
				switch {
				case n < 0:
					t.Errorf("%s.%s is not described", at, name)
				case fields[n].Every:
					for k, e := range e.(map[string]any) {
						known(at+"."+name+"."+k, fields[n].Fields, e)
					}
				default:
					known(at+"."+name, fields[n].Fields, e)
				}
			}
		}
	}
	known("answer", i.Answer, v)
}

// runner is how a language's programs are run, if they can be here.
type runner struct {
	command []string // the file's name follows
	missing string   // why not
	whole   bool     // every interface in its usual way; of all ways and kinds of body one is run anyhow
	modules string   // NODE_PATH
}

func have(command string) bool { _, err := exec.LookPath(command); return err == nil }

func runners(t *testing.T) map[string]runner {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	need := func(r runner, commands ...string) runner {
		for _, c := range commands {
			if !have(c) {
				r.missing = c + " is not installed"
			}
		}
		return r
	}
	return map[string]runner{
		"curl":   need(runner{command: []string{"bash"}, whole: true}, "bash", "curl", "openssl"),
		"python": need(runner{command: []string{"python3"}, whole: true}, "python3", "openssl"),
		"node":   need(runner{command: []string{"node"}, whole: true, modules: filepath.Join(root, "e2e/smclient/node_modules")}, "node"),
		"go":     need(runner{command: []string{"go", "run"}}, "go"),
		"java":   need(runner{command: []string{"java"}}, "java"),
		"php":    need(runner{command: []string{"php"}}, "php", "openssl"),
		"csharp": need(runner{command: []string{"dotnet", "run", "--project"}}, "dotnet"),
	}
}

// bouncyCastle finds the jar that Java's samples sign with: Debian's libbcprov-java.
func bouncyCastle() string {
	for _, p := range []string{os.Getenv("BCPROV_JAR"), "/usr/share/java/bcprov.jar"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// TestSamples runs the sample programs of every language that is installed against a server.
func TestSamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	card := testkit.Card{Name: "赵六", Number: "11010519491231002X", Nation: "汉", Address: "某省某市", Person: "zhao"}
	cardDir := t.TempDir()
	w.must(os.WriteFile(filepath.Join(cardDir, "image.jpg"), testkit.CardPhoto(card), 0o600))
	turns := make(chan struct{}, 4) // programs at once
	for language, r := range runners(t) {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if r.missing != "" {
				t.Skip(r.missing + "; with it the samples in this language are run")
			}
			tried := map[string]bool{}
			for _, i := range explorer.Interfaces() {
				for _, auth := range i.Auth {
					if auth == explorer.AuthNone && len(i.Binary) > 0 {
						continue // a signed address is made by another interface
					}
					style := fmt.Sprint(i.Vendor, auth, i.Body)
					if i.ID == "huawei.auth_result" {
						style += " decrypts"
					}
					first := auth == i.Auth[0]
					if (!r.whole || !first) && (tried[style] || auth == explorer.AuthNone) {
						continue // tokens are asked for by the others
					}
					tried[style] = true
					t.Run(i.ID+" "+string(auth), func(t *testing.T) {
						t.Parallel()
						command, env := r.command, w.environment(i)
						switch {
						case language == "java" && auth == explorer.AuthPayDev:
							jar := bouncyCastle()
							if jar == "" {
								t.Skip("BouncyCastle is not installed; with it (Debian: libbcprov-java) Java's SM2 is run")
							}
							command = []string{"java", "-cp", jar}
						case language == "csharp" && auth == explorer.AuthPayDev:
							t.Skip("BouncyCastle.Cryptography comes from a registry that tests do not ask")
						case language == "node":
							if _, err := os.Stat(r.modules); err != nil && auth == explorer.AuthPayDev {
								t.Skip("sm-crypto is not installed; npm ci --prefix e2e/smclient does it")
							}
							env = append(env, "NODE_PATH="+r.modules)
						}
						if language == "java" { // it lives for a second: no time to optimise
							env = append(env, "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
						}
						turns <- struct{}{}
						defer func() { <-turns }()
						w.run(t, i, language, auth, command, env, cardDir)
					})
				}
			}
		})
	}
}

func (w *world) run(t *testing.T, i explorer.Interface, language string, auth explorer.Auth, command, env []string, cardDir string) {
	text, err := explorer.Sample(i, language, auth, w.url)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := explorer.Languages()[slices.IndexFunc(explorer.Languages(), func(l explorer.Language) bool { return l.ID == language })].File
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pictures := w.dir
	if i.ID == "baidu.ocr" {
		pictures = cardDir
	}
	for _, name := range []string{"image.jpg", "image2.jpg", "register_image.jpg"} {
		_ = os.Link(filepath.Join(pictures, name), filepath.Join(dir, name)) // where there is one
	}
	if language == "csharp" { // a program is run as a project
		version, err := exec.CommandContext(t.Context(), "dotnet", "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		major, _, _ := strings.Cut(string(version), ".")
		project := `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net` + major + `.0</TargetFramework><Nullable>enable</Nullable></PropertyGroup></Project>`
		if err := os.WriteFile(filepath.Join(dir, "sample.csproj"), []byte(project), 0o600); err != nil {
			t.Fatal(err)
		}
		file = "sample.csproj"
	}
	cmd := exec.CommandContext(t.Context(), command[0], append(slices.Clone(command[1:]), filepath.Join(dir, file))...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if language == "go" {
		// Within the house, for its modules; pictures are found by their whole names.
		cmd.Dir = "../.."
		text = strings.ReplaceAll(text, `picture("`, `picture("`+dir+`/`)
		text = strings.ReplaceAll(text, `"answer.bin", reply`, `"`+dir+`/answer.bin", reply`)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s\n%s", err, out, &stderr, text)
	}
	w.check(t, i, out)
}

// Every sample of every language can be made, and holds no secret.
func TestSamplesAreWhole(t *testing.T) {
	t.Parallel()
	for _, i := range explorer.Interfaces() {
		if len(wants[i.ID]) == 0 && i.ID != "baidu.video" {
			t.Errorf("nothing is wanted of %s's sample", i.ID)
		}
		for _, l := range explorer.Languages() {
			for _, a := range i.Auth {
				text, err := explorer.Sample(i, l.ID, a, "https://id.example.com")
				switch {
				case err != nil:
					t.Errorf("%s in %s: %v", i.ID, l.ID, err)
				case !strings.Contains(text, i.Path) || !strings.Contains(text, "https://id.example.com") || strings.Contains(text, "<no value>"):
					t.Errorf("%s in %s:\n%s", i.ID, l.ID, text)
				}
			}
		}
	}
	i, _ := explorer.Find("juhe.query")
	if _, err := explorer.Sample(i, "cobol", explorer.AuthKey, ""); err == nil {
		t.Error("a sample in a language that there is none of was made")
	}
	if _, err := explorer.Sample(i, "go", explorer.AuthBCE, ""); err == nil {
		t.Error("a sample with a way to authenticate that the interface does not take was made")
	}
}
