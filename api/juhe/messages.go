package juhe

import "time"

// The interfaces: the four-element check, and its siblings of three elements each.
const (
	PathQuery  = "/verifyface_mobile/query"
	PathFace   = "/verifyface/verify" // name, number and portrait
	PathMobile = "/telecom/query"     // name, number and mobile number
)

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

// FaceRequest is a check of name, number and portrait.
type FaceRequest struct {
	RealName string
	IDCard   string
	Image    []byte
}

// FaceRes is a result of PathFace. The vendor's page of it is not at hand: clients read 1 and
// the score. The others are shiren's own.
type FaceRes int

const (
	FaceCompared FaceRes = 1 // portraits were compared; the score tells whether they match
	FaceIdentity FaceRes = 2 // name and number do not belong together
	FaceNoRecord FaceRes = 3 // the number is not known, or there is no portrait to compare with
)

var faceTexts = map[FaceRes]string{FaceCompared: "人像比对完成", FaceIdentity: "身份核验不通过", FaceNoRecord: "查询无记录"}

// String is shiren's text of a result; the vendor's are not at hand.
func (r FaceRes) String() string { return faceTexts[r] }

// FaceResult is what PathFace answers.
type FaceResult struct {
	OrderID string  `json:"orderid"`
	Res     FaceRes `json:"res"`
	ResMsg  string  `json:"resmsg"`
	Score   float64 `json:"score"` // 0 to 100; clients take 70 and more for a match; 0 where nothing was compared
}

// FaceReply is the envelope of a FaceResult.
type FaceReply struct {
	Reason    string     `json:"reason"`
	Result    FaceResult `json:"result"`
	ErrorCode Code       `json:"error_code"`
}

// MobileRequest is a check of name, number and mobile number.
type MobileRequest struct {
	RealName string
	IDCard   string
	Mobile   string
}

// MobileRes is a result of PathMobile: 一致 or 不一致. Of the latter clients read 0.
type MobileRes int

const (
	MobileDiffers MobileRes = 0
	MobileMatches MobileRes = 1
)

// String is the result's text.
func (r MobileRes) String() string {
	switch r {
	case MobileDiffers:
		return "不一致"
	case MobileMatches:
		return "一致"
	}
	return ""
}

// MobileResult is what PathMobile answers: what was asked, and the answer.
type MobileResult struct {
	RealName string    `json:"realname"`
	Mobile   string    `json:"mobile"`
	IDCard   string    `json:"idcard"`
	Res      MobileRes `json:"res"`
	ResMsg   string    `json:"resmsg"`
	Type     string    `json:"type"` // the carrier; "" where it is not known
	OrderID  string    `json:"orderid,omitempty"`
}

// MobileReply is the envelope of a MobileResult.
type MobileReply struct {
	Reason    string       `json:"reason"`
	Result    MobileResult `json:"result"`
	ErrorCode Code         `json:"error_code"`
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
