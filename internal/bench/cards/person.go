package cards

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"shiren/internal/cnid"
)

// Kind is a kind of document, as truth.json writes it.
type Kind string

const (
	Resident Kind = "id" // 居民身份证
	HongKong Kind = "hk" // 港澳居民居住证
	Macau    Kind = "mo" // 港澳居民居住证
	Taiwan   Kind = "tw" // 台湾居民居住证
)

// Script is a second script that stands beside the Chinese one on cards of autonomous
// regions. "" is none.
type Script string

const (
	Zhuang    Script = "zhuang"    // Latin letters
	Korean    Script = "korean"    // Hangul
	Uyghur    Script = "uyghur"    // drawn as strokes in its manner, beside labels and values
	Tibetan   Script = "tibetan"   // drawn as strokes in its manner
	Mongolian Script = "mongolian" // upright lines, drawn as strokes in its manner
)

// Person is someone who does not exist, and what their document says; the fields are
// those of truth.json. The number's check character is right and its county exists, but
// it is marked as synthetic by its running number, 990 to 995: no county registers that
// many births a day, and GB 11643's forerunner kept 996 to 999 for centenarians.
type Person struct {
	Kind      Kind   `json:"kind"`
	Name      string `json:"name"`
	Gender    string `json:"gender"`
	Nation    string `json:"nation"` // "" on permits
	Birthday  string `json:"birthday"`
	Address   string `json:"address"`
	Number    string `json:"id_card_number"`
	Authority string `json:"issue_authority"`
	Issued    string `json:"issue_time"`
	Expires   string `json:"expire_time"`
	Pass      string `json:"pass_no"` // printed on permits only
	Times     int    `json:"times"`   // 签发次数, printed on permits only
	Script    Script `json:"script,omitempty"`
}

// today is the day on which the documents are held; an arbitrary one, fixed so that a
// seed means the same for ever.
var today = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Shares of the population that is made. Our choice: rare characters and minorities are
// far more frequent than in the country, because they are what goes wrong.
const (
	rareNames     = .25 // of Chinese names hold a character from rareGiven
	hanShare      = .5
	villageShare  = .35
	compoundShare = .08
	movedShare    = .1  // whose number names another county than the address
	formerShare   = .03 // whose number names a county by a code that is no longer in use
)

// NewPerson makes a person. bilingual asks for a place whose cards carry a second
// script; permits have none. The same seed makes the same person.
func NewPerson(seed uint64, k Kind, bilingual bool) Person {
	r := rand.New(rand.NewPCG(seed, 0x706572736f6e))
	p := Person{Kind: k, Gender: pick(r, []string{"男", "女"})}
	where := pick(r, places)
	for bilingual && where.script == "" || k != Resident && where.script != "" {
		where = pick(r, places)
	}
	if bilingual {
		p.Script = where.script
	}
	p.Authority = where.authority
	p.Address = where.name + street(r)
	// Age 1 to 90, held for up to as long as the document is valid.
	born := today.AddDate(-1-r.IntN(90), 0, -r.IntN(365))
	p.Birthday = born.Format("20060102")
	years := 5 // permits: State Council order of 2018, article 6
	issued := today.AddDate(0, 0, -r.IntN(5*365))
	if k == Resident {
		p.Nation = nation(r, where.script)
		issued = today.AddDate(0, 0, -r.IntN(15*365))
		years = validity(born, issued)
	}
	if issued.Before(born.AddDate(0, 1, 0)) {
		issued = born.AddDate(0, 1, 0)
		if k == Resident {
			years = validity(born, issued)
		}
	}
	p.Issued = issued.Format("20060102")
	if years == 0 {
		p.Expires = "长期"
	} else {
		p.Expires = issued.AddDate(years, 0, 0).Format("20060102")
	}
	p.Name = name(r, k, p.Nation)
	code := where.code
	switch f := r.Float64(); {
	case f < formerShare:
		code = pick(r, formerCodes)
	case f < formerShare+movedShare:
		code = pick(r, places).code
	}
	p.Number = number(r, k, code, p.Birthday, p.Gender)
	p.Times = 1 + r.IntN(3)
	switch k {
	case HongKong, Macau:
		p.Pass = fmt.Sprintf("%s%08d", map[Kind]string{HongKong: "H", Macau: "M"}[k], r.IntN(1e8))
	default:
		p.Pass = fmt.Sprintf("%08d", r.IntN(1e8))
	}
	return p
}

// validity is for how many years a card is issued, 0 for ever: Law on resident identity
// cards, article 5.
func validity(born, issued time.Time) int {
	switch age := func(years int) bool { return !issued.Before(born.AddDate(years, 0, 0)) }; {
	case age(46):
		return 0
	case age(26):
		return 20
	case age(16):
		return 10
	}
	return 5
}

func number(r *rand.Rand, k Kind, code, birthday, gender string) string {
	sequence := 990 + 2*r.IntN(3)
	if gender == "男" {
		sequence++
	}
	switch k {
	case HongKong:
		code = "810000"
	case Macau:
		code = "820000"
	case Taiwan:
		code = "830000"
	}
	digits := fmt.Sprintf("%s%s%03d", code, birthday, sequence)
	return digits + string(cnid.CheckCharacter(digits))
}

func street(r *rand.Rand) string {
	if r.Float64() < villageShare {
		s := pick(r, villages)
		if r.IntN(3) > 0 {
			s += fmt.Sprintf("%d组", 1+r.IntN(15))
		}
		if r.IntN(2) > 0 {
			s += fmt.Sprintf("%d号", 1+r.IntN(300))
		}
		return s
	}
	s := pick(r, streets) + fmt.Sprintf("%d号", 1+r.IntN(999))
	if r.IntN(8) == 0 {
		s += fmt.Sprintf("附%d号", 1+r.IntN(20))
	}
	s += pick(r, compounds)
	switch r.IntN(6) {
	case 0:
	case 1:
		s += fmt.Sprintf("%d栋%c座%d", 1+r.IntN(30), 'A'+r.IntN(5), 101+r.IntN(2800))
	case 2:
		s += fmt.Sprintf("%d幢%d室", 1+r.IntN(80), 101+r.IntN(2800))
	case 3:
		s += fmt.Sprintf("%d-%d-%d", 1+r.IntN(20), 1+r.IntN(4), 101+r.IntN(600))
	default:
		s += fmt.Sprintf("%d号楼%d单元%d室", 1+r.IntN(60), 1+r.IntN(6), 101+r.IntN(2800))
	}
	return s
}

// nation draws Han for half of the people, else one of the others, all alike; in a
// bilingual place its own people first.
func nation(r *rand.Rand, s Script) string {
	if own := map[Script]string{Zhuang: "壮", Korean: "朝鲜", Uyghur: "维吾尔", Tibetan: "藏", Mongolian: "蒙古"}[s]; own != "" && r.IntN(2) == 0 {
		return own
	}
	if r.Float64() < hanShare {
		return "汉"
	}
	return pick(r, nations[1:])
}

func name(r *rand.Rand, k Kind, nation string) string {
	if k == Resident && r.IntN(4) > 0 {
		if parts := minorityNames[nation]; len(parts) > 0 {
			a, b := pick(r, parts), pick(r, parts)
			if nation == "藏" {
				return a + b
			}
			return a + "·" + b
		}
	}
	var b strings.Builder
	if r.Float64() < compoundShare {
		b.WriteString(pick(r, compoundSurnames))
	} else {
		b.WriteString(string(pick(r, surnames)))
	}
	n := 1
	if r.IntN(4) > 0 {
		n = 2
	}
	rare := -1
	if r.Float64() < rareNames {
		rare = r.IntN(n)
	}
	for i := range n {
		if i == rare {
			b.WriteString(string(pick(r, rareGiven)))
		} else {
			b.WriteString(string(pick(r, given)))
		}
	}
	return b.String()
}

// RareName is a name of a surname, a character of the third level of the table of general standard
// characters, any of them, and mostly one more. Most of these stand in no recogniser's dictionary.
// The same seed makes the same name.
func RareName(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 0x72617265))
	rest := []rune{pick(r, []rune(cnid.ThirdLevel))}
	if r.IntN(4) > 0 {
		rest = slices.Insert(rest, r.IntN(2), pick(r, given))
	}
	return string(pick(r, surnames)) + string(rest)
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

var (
	// The nations of GB/T 3304 as cards write them, Han first.
	nations = strings.Fields("汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 柯尔克孜 土 达斡尔 " +
		"仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺")
	surnames = []rune("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石" +
		"姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢" +
		"路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜路詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边")
	compoundSurnames = strings.Fields("欧阳 司马 诸葛 上官 尉迟 慕容 皇甫 端木 令狐 东方 公孙 夏侯 宇文 长孙")
	given            = []rune("伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂华建国文志红玉梅春海燕凤龙生林飞鹏宇浩晨阳雪婷慧颖佳欣怡子涵梓轩一诺思源" +
		"嘉琪雨桐若曦博睿泽楷俊豪天佑家豪晓东永福德胜长贵金宝满仓淑贞惠珍云山水清河川安康宁乐善良忠义孝信仁礼智勤俭学勉冬青松柏竹菊荷莲蓉薇蕾莉莎菲娅妍" +
		"洁琳瑶璐瑾瑜珊珂玲珑倩茜芸苗萌蔓兴旺盛昌隆发达进步向前跃升启航晴朗辉煌耀光亮星辰月圆方正直诚实友爱民主庆祥瑞吉利和睦顺畅通")
	// Characters of given names that are missing from the common level of GB 2312 or from
	// it altogether, and that text recognisers' dictionaries often lack.
	rareGiven = []rune("赟旻翀龑镕颀芃堃喆昶淼焱犇骉翯翾瑄璟玥珺琛琤璇玺珩琰晟昕昊暐晞曈翊翎翮骁骐骥鑫垚燚甯婧媛嫣婳妤姝娉姣菀蓁荃蘅芾芷苒茜祎祺禛禾" +
		"钰铄铭锴镔钊铖锟沅洺淇渼湉滢潆澍濛瀚灏炜烨煊熠燊彧彣郗郦鄢郜隽雯霁霖靓韬頔颢飏馨骞髙鸢麒麟黟黛斐攸敉昀昉杪柠栩梵楠榕樾檬毓氚氤沄沚泠洹浛涴浠溦")
	// Parts of minority names as they are written with the separator (Tibetan: without).
	minorityNames = map[string][]string{
		"维吾尔":  {"阿卜杜热西提", "买买提", "艾尼瓦尔", "古丽娜尔", "吐尔逊", "帕提古丽", "热依汗", "玉素甫", "阿依努尔", "买合木提"},
		"哈萨克":  {"努尔兰", "叶尔江", "阿依古丽", "哈力木", "巴合提", "古丽米热", "沙肯"},
		"柯尔克孜": {"阿不都", "吐尔干", "加安巴依", "古丽扎"},
		"乌孜别克": {"肉孜", "阿力木", "迪丽达尔"},
		"塔吉克":  {"达吾提", "库尔班", "古力夏提"},
		"藏":    {"扎西", "卓玛", "次仁", "达瓦", "拉姆", "丹增", "央金", "格桑", "平措", "旺姆", "尼玛", "曲珍"},
		"蒙古":   {"巴特尔", "其其格", "格日勒", "阿拉坦", "苏日娜", "布和"},
		"景颇":   {"勒排", "木然", "腊图"},
	}
)
