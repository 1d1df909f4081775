package juhe

import "time"

// PathQuery is the four-element check.
const PathQuery = "/verifyface_mobile/query"

// Request is a check of four elements. Client adds the key.
type Request struct {
	RealName string
	IDCard   string
	Mobile   string
	Image    []byte // a portrait; best at 16 to 20 KB (seed)
}

// Result is what a check came to.
type Result struct {
	OrderID string  `json:"orderid"`
	Res     Res     `json:"res"`
	ResMsg  string  `json:"resmsg"`
	Score   float64 `json:"score"` // 0 to 1000; 0 where no portraits were compared
	Type    string  `json:"type"`  // the mobile number's carrier; "" where it is not known
}

// Carriers: the values of type. The seed shows 联通; the others are the carriers' common
// names, as the vendor's other interfaces send them.
const (
	ChinaMobile    = "移动"
	ChinaUnicom    = "联通"
	ChinaTelecom   = "电信"
	ChinaBroadcast = "广电"
)

// Reply is the envelope of an answer.
type Reply struct {
	Reason    string `json:"reason"`
	Result    Result `json:"result"`
	ErrorCode Code   `json:"error_code"`
}

// Order is the result of Unanswered.
type Order struct {
	OrderID string `json:"orderid"`
}

// Refusal is the envelope of an error. System codes carry resultcode.
type Refusal struct {
	ResultCode string `json:"resultcode,omitempty"`
	Reason     string `json:"reason"`
	Result     *Order `json:"result"`
	ErrorCode  Code   `json:"error_code"`
	Detail     string `json:"error_detail,omitempty"` // shiren's own; the vendor sends none
}

const orderAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// OrderID is an orderid in the form of the seed's examples, JH801240913170041JZU80: JH, the
// interface's 801, the moment in Beijing to the second, and five letters or digits made of n.
func OrderID(at time.Time, n uint64) string {
	b := []byte("JH801" + at.In(beijing).Format("060102150405"))
	for range 5 {
		b = append(b, orderAlphabet[n%uint64(len(orderAlphabet))])
		n /= uint64(len(orderAlphabet))
	}
	return string(b)
}

var beijing = time.FixedZone("UTC+8", 8*60*60)
