package card

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Where values of the front stand.
var (
	nameZone     = zone{14.5, 52, 9.8}
	genderZone   = zone{14.5, 21.5, 16.7}
	nationZone   = zone{32.2, 52, 16.6}
	birthdayZone = zone{14, 43.2, 23.2}
	numberZone   = zone{28.6, 78.5, 47.7}
)

// word is a value as it was read.
type word struct {
	text  string
	share float64 // of the probability among the texts that were considered
	least float64 // of its characters' probabilities, in the best of the looks
	agree bool    // all looks read the same
	at    span
	doubt bool // it must not be taken for good whatever its confidence
}

// settle reads a field by voting, and looks again where the looks do not agree.
func (g *page) settle(z zone, clean func(string) string, suggest func(string) []string) (word, []shot, error) {
	shots, at, err := g.shots(z)
	if err != nil {
		return word{}, nil, err
	}
	w := g.elect(shots, clean, suggest)
	if !w.agree || w.least < sureLeast || len(shots) < 2 {
		more, err := g.wider(at)
		if err != nil {
			return word{}, nil, err
		}
		shots = append(shots, more...)
		w = g.elect(shots, clean, suggest)
	}
	w.at = at
	return w, shots, nil
}

// sureLeast is the probability of a look's weakest character from which no further look
// is taken. Our choice: above it further looks changed nothing in measurements.
const sureLeast = 0.93

func (g *page) elect(shots []shot, clean func(string) string, suggest func(string) []string) word {
	var w word
	var extra []string
	for _, s := range shots {
		if t := clean(s.text()); suggest != nil && t != "" {
			extra = append(extra, suggest(t)...)
		}
	}
	raw, share, _ := g.vote(shots, extra...)
	w.text, w.share = clean(raw), share
	w.agree = true
	for _, s := range shots {
		p := s.part()
		if clean(p.text()) != w.text {
			w.agree = false
			continue
		}
		w.least = max(w.least, p.least())
	}
	return w
}

// hanOnly keeps what a name consists of: Han characters and the middle dot.
func hanOnly(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '·' || r == '•' || r == '・' || r == '.':
			return '·'
		case unicode.Is(unicode.Han, r):
			return r
		}
		return -1
	}, s)
}

func cleanName(s string) string { return strings.Trim(hanOnly(s), "·") }

// choice picks among given texts by their scores over looks.
func (g *page) choice(shots []shot, texts []string) (best string, share, margin float64, all []scored) {
	all = g.rank(shots, slices.Clone(texts))
	if len(all) == 0 {
		return "", 0, 0, nil
	}
	margin = math.Inf(1)
	if len(all) > 1 {
		margin = (all[0].score - all[1].score) / float64(max(1, len(shots)))
	}
	return all[0].text, shareOf(all, len(shots)), margin, all
}

// nations are the 56 of GB/T 3304, and what is printed for those without one.
var nations = strings.Fields(`汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水
	东乡 纳西 景颇 柯尔克孜 土 达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京
	塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺 穿青人 其他`)

// readFront reads the front's values.
func (g *page) readFront() (map[ekyc.CardField]word, []ekyc.CardFlag, error) {
	words := map[ekyc.CardField]word{}
	var flags []ekyc.CardFlag

	numberShots, numberAt, err := g.shots(numberZone)
	if err != nil {
		return nil, nil, err
	}
	birthShots, birthAt, err := g.shots(birthdayZone)
	if err != nil {
		return nil, nil, err
	}
	genderShots, genderAt, err := g.shots(genderZone)
	if err != nil {
		return nil, nil, err
	}
	gender, genderShare, _, genderAll := g.choice(genderShots, []string{"男", "女"})

	plain, valid := g.numbers(numberShots)
	number := g.jointly(plain, valid, birthShots, genderAll, len(genderShots))
	if !number.agree || number.share < 0.98 || len(valid) == 0 {
		more, err := g.wider(numberAt)
		if err != nil {
			return nil, nil, err
		}
		numberShots = append(numberShots, more...)
		plain, valid = g.numbers(numberShots)
		if number.share < 0.98 || number.text == "" {
			more, err := g.wider(birthAt)
			if err != nil {
				return nil, nil, err
			}
			birthShots = append(birthShots, more...)
		}
		number = g.jointly(plain, valid, birthShots, genderAll, len(genderShots))
	}
	number.at = numberAt
	id, wrong := cnid.ParseNumber(number.text)
	if number.text != "" && (wrong != nil || !g.possible(number.text)) {
		number.doubt = true
		flags = append(flags, ekyc.CardNumberWrong)
	}
	words[ekyc.CardNumber] = number

	birthday, differs := g.birthday(birthShots, id, number, plain)
	birthday.at = birthAt
	if differs {
		flags = append(flags, ekyc.CardBirthdayDiffer)
	}
	words[ekyc.CardBirthday] = birthday

	sex := word{text: gender, share: genderShare, least: genderShare, agree: true, at: genderAt}
	if id != "" && len(genderAll) == 2 {
		want := "男"
		if id.Female() {
			want = "女"
		}
		gap := math.Abs(genderAll[0].score-genderAll[1].score) / float64(len(genderShots))
		seen := math.Exp(genderAll[0].score / float64(len(genderShots)))
		switch {
		case gender == want:
			sex.share = 1 - (1-sex.share)*(1-number.share)
			sex.least = sex.share
		case gap > genderGap && seen > 0.5: // it is clearly printed so
			sex.doubt = true
			flags = append(flags, ekyc.CardGenderDiffer)
		default:
			sex.text, sex.share, sex.least = want, number.share*0.98, number.share*0.98
		}
	}
	words[ekyc.CardGender] = sex

	permit := id.ResidencePermit()
	if !permit {
		nation, err := g.nation()
		if err != nil {
			return nil, nil, err
		}
		words[ekyc.CardNation] = nation
	}
	name, err := g.name()
	if err != nil {
		return nil, nil, err
	}
	words[ekyc.CardName] = name
	address, err := g.address(id)
	if err != nil {
		return nil, nil, err
	}
	words[ekyc.CardAddress] = address
	return words, flags, nil
}

// genderGap is the log ratio a look by which the printed gender must lead before it is
// said to differ from the number. Our choice.
const genderGap = 4

// jointly picks the number that digits, printed birthday and printed gender agree on
// best. Where a text that fulfils no check is far likelier than all that do, it is what
// is printed.
func (g *page) jointly(plain, valid []scored, birth []shot, gender []scored, genderLooks int) word {
	if len(plain) == 0 {
		return word{}
	}
	type option struct {
		scored
		digits float64
	}
	var list []option
	births := map[string]float64{}
	top := math.Inf(-1)
	for _, v := range valid[:min(len(valid), 80)] {
		n, err := cnid.ParseNumber(v.text)
		if err != nil {
			continue
		}
		key := birthText(n.Birth())
		b, ok := births[key]
		if !ok {
			for _, s := range birth {
				b += max(s.l.score(g.r.keys, s.from, s.to, []rune(key)), floor/3) / float64(len(birth))
			}
			births[key] = b
		}
		sex := 0.0
		want := "男"
		if n.Female() {
			want = "女"
		}
		for _, o := range gender {
			if o.text == want {
				sex = max(o.score/float64(max(1, genderLooks)), -8)
			}
		}
		total := v.score/float64(1) + b + sex
		list = append(list, option{scored{v.text, total}, v.score})
		top = max(top, total)
	}
	best := plain[0]
	if len(list) == 0 {
		return word{text: best.text, share: 0, doubt: true}
	}
	slices.SortStableFunc(list, func(a, b option) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return strings.Compare(a.text, b.text)
	})
	if best.score-list[0].digits > wrongNumberGap {
		return word{text: best.text, share: 0.5, doubt: true}
	}
	sum := 0.0
	for _, o := range list {
		sum += math.Exp((o.score - list[0].score) / 2)
	}
	return word{text: list[0].text, share: 1 / sum, least: 1 / sum, agree: plain[0].text == list[0].text}
}

// wrongNumberGap is by how much, in log probability over all looks, an impossible number
// must lead before it is taken for what is printed.
const wrongNumberGap = 14

// birthday reads the printed birthday and compares it with the number's.
func (g *page) birthday(shots []shot, id cnid.Number, number word, plain []scored) (word, bool) {
	texts := []string{}
	for _, s := range shots {
		if t, ok := parseBirthday(s.text()); ok {
			texts = append(texts, birthText(t))
		}
		for _, v := range g.variants(s) {
			if t, ok := parseBirthday(v); ok {
				texts = append(texts, birthText(t))
			}
		}
	}
	if id != "" {
		texts = append(texts, birthText(id.Birth()))
	}
	for _, c := range plain[:min(len(plain), 10)] {
		if t, err := time.Parse("20060102", c.text[6:14]); err == nil {
			texts = append(texts, birthText(t))
		}
	}
	best, share, _, all := g.choice(shots, texts)
	if best == "" {
		return word{}, false
	}
	printed, _ := parseBirthday(best)
	w := word{text: printed.Format("20060102"), share: share, least: share, agree: true}
	if id == "" || number.doubt {
		return w, false
	}
	own := id.Birth().Format("20060102")
	if own == w.text {
		w.share = 1 - (1-w.share)*(1-number.share)
		w.least = w.share
		return w, false
	}
	lead := 0.0
	for _, s := range all {
		if s.text == birthText(id.Birth()) {
			lead = (all[0].score - s.score) / float64(len(shots))
		}
	}
	if clear := all[0].score / float64(len(shots)); lead > birthdayGap && clear > -2 {
		w.doubt = true
		return w, true
	}
	return word{text: own, share: number.share * 0.97, least: number.share * 0.97, agree: false}, false
}

// birthdayGap is the log ratio a look by which another birthday must lead the number's
// before it is said to be printed. Our choice.
const birthdayGap = 5

// nation picks one of the 56 by a clear lead.
func (g *page) nation() (word, error) {
	shots, at, err := g.shots(nationZone)
	if err != nil {
		return word{}, err
	}
	seen := false
	for _, s := range shots {
		seen = seen || len(s.part().chars) > 0
	}
	var w word
	var names []string
	if seen {
		best, share, margin, all := g.choice(shots, nations)
		if margin < nationGap {
			more, err := g.wider(at)
			if err != nil {
				return word{}, err
			}
			shots = append(shots, more...)
			best, share, margin, all = g.choice(shots, nations)
		}
		mean := all[0].score / float64(len(shots))
		w = word{text: best, share: share, least: math.Min(1, math.Exp(mean)), agree: true, doubt: margin < nationLeast}
		if names = g.r.keys.rivals(best); len(names) > 0 {
			names = append(names, best)
		}
		seen = mean > nationPoor
	}
	if w.at = at; !seen {
		names = nations
	}
	if len(names) == 0 {
		return w, nil
	}
	if name, like, lead := g.nationLooks(at, names); lead > nationLead && like > leastAlike {
		w.doubt = lead < 2*nationLead
		if name != w.text {
			w.text, w.share, w.least = name, glyphSure(lead), glyphSure(lead)
		}
	}
	return w, nil
}

// nationPoor is the log probability a look of the best nation under which drawn glyphs are
// asked about all of them: the recogniser leaves out 傈僳 though it has classes for both.
// nationLead is by how much one must look more alike than the next. Our choices.
const (
	nationPoor = -4
	nationLead = 0.06
)

// nationGap is the lead a look under which a nation is looked at again, nationLeast the
// one under which it stays doubtful: 仡佬 must not become 仫佬.
const (
	nationGap   = 4
	nationLeast = 1.2
)

// Where a nation's first character may begin, and the pitch of its characters, millimetres.
// Measured on cards drawn in the true layout: 33.5 and 3.05.
const (
	nationFrom, nationTo = 32.6, 34.4
	nationPitch          = 3.05
)

// nationLooks finds which of the given nations looks most like what is printed, by the mean
// correlation of its characters with drawn glyphs, -1 to 1, and by how much it leads.
func (g *page) nationLooks(at span, names []string) (best string, like, lead float64) {
	const scale = em * 0.97 / nationPitch
	const step = nationPitch * scale
	strip := span{nationFrom - 0.4, at.y0, nationZone.x1, at.y1}
	wide, high := int((strip.x1-strip.x0)*scale), int((strip.y1-strip.y0)*scale)
	ink := g.ink(strip, wide, high)
	cut := func(from, to float64) ([]float32, int) {
		return columns(ink, wide, high, int(from), int(to)+1)
	}
	like, second := -1.0, -1.0
	for _, name := range names {
		chars := []rune(name)
		top := -1.0
		for from := nationFrom; from <= nationTo; from += 0.3 {
			x0 := (from - strip.x0) * scale
			sum := 0.0
			for i, c := range chars {
				patch, w := cut(x0+float64(i)*step, x0+float64(i+1)*step)
				if w == 0 {
					sum--
				} else if l := g.r.glyphs.compare(patch, w, high, em*0.97, []rune{c}); len(l) == 1 {
					sum += l[0].score
				}
			}
			v := sum / float64(len(chars))
			// What stands behind the last character is no part of this name.
			if patch, _ := cut(x0+(float64(len(chars))+0.1)*step, x0+(float64(len(chars))+0.9)*step); filled(patch) > leastFilled {
				v -= 0.3
			}
			top = max(top, v)
		}
		if top > like {
			best, like, second = name, top, like
		} else {
			second = max(second, top)
		}
	}
	return best, like, like - second
}

// rivals are the nations that glyphs must decide between: those with a character that the
// recogniser has no class for, where they differ from a text in one character.
func (k *keys) rivals(text string) []string {
	t := []rune(text)
	var list []string
	for _, n := range nations {
		r := []rune(n)
		known := true
		for _, c := range r {
			known = known && k.index[c] > 0
		}
		if !known && len(r) == len(t) && differing(r, t) <= 1 {
			list = append(list, n)
		}
	}
	return list
}
