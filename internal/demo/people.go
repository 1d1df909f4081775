package demo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

var (
	surnames = []string{"王", "李", "张", "刘", "陈", "杨", "黄", "赵", "周", "吴", "徐", "孙", "马", "朱", "胡", "林", "郭", "何", "高", "罗"}
	given    = []string{"芳", "伟", "娜", "敏", "静", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英", "霞", "平", "建国", "桂英", "子涵", "欣怡", "浩然", "宇轩"}
)

// person is someone who does not exist: the name says 示例, and the number's region, 99, and its
// running number, 990 to 995, are given to nobody.
func (w *world) person(r *rand.Rand) ekyc.Claim {
	born := w.c.Now.AddDate(-18-r.IntN(50), -r.IntN(12), -r.IntN(28))
	digits := fmt.Sprintf("99%04d%s%d", r.IntN(10000), born.Format("20060102"), 990+r.IntN(6))
	number := cnid.Number(digits + string(cnid.CheckCharacter(digits)))
	return ekyc.Claim{Name: cnid.Name("示例·" + pick(r, surnames) + pick(r, given)), Number: number}
}

// document is a person's, as a reader reads it.
func (w *world) document(r *rand.Rand, c ekyc.Claim, at time.Time, id string) *ekyc.Document {
	gender := "男"
	if c.Number.Female() {
		gender = "女"
	}
	issued := at.AddDate(-1-r.IntN(8), 0, 0)
	word := func(v string) ekyc.CardWord {
		return ekyc.CardWord{Value: v, Confidence: 1 - 0.06*r.Float64()*r.Float64()}
	}
	front := map[ekyc.CardField]ekyc.CardWord{
		ekyc.CardName: word(string(c.Name)), ekyc.CardGender: word(gender), ekyc.CardNation: word("汉"),
		ekyc.CardBirthday: word(c.Number.Birth().Format("20060102")), ekyc.CardNumber: word(string(c.Number)),
		ekyc.CardAddress: word(fmt.Sprintf("示例省样本市演示路%d号", 1+r.IntN(200))),
	}
	if chance(r, 0.15) { // one that the person confirms
		x := front[ekyc.CardAddress]
		x.Confidence, x.Doubtful = 0.4+0.3*r.Float64(), true
		front[ekyc.CardAddress] = x
	}
	back := map[ekyc.CardField]ekyc.CardWord{
		ekyc.CardAuthority: word("样本市公安局（示例）"), ekyc.CardIssued: word(issued.Format("20060102")), ekyc.CardExpires: word(issued.AddDate(20, 0, 0).Format("20060102")),
	}
	side := func(s ekyc.CardSide, words map[ekyc.CardField]ekyc.CardWord) *ekyc.CardRecord {
		return &ekyc.CardRecord{LogID: id, Reading: ekyc.CardReading{
			Side: s, Status: ekyc.CardReadable, Words: words, Width: 900 + 300*r.Float64(), Sharp: 0.6 + 0.4*r.Float64(),
		}}
	}
	return &ekyc.Document{Front: side(ekyc.CardFront, front), Back: side(ekyc.CardBack, back)}
}
