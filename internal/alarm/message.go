package alarm

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"shiren/api/webhook"
	"shiren/internal/notify"
)

// names are what ids are called, for people; "" where that is not known.
type names struct{ app, plan string }

// labels are the measures in Chinese and English.
var labels = map[Measure][2]string{
	AttackRate:  {"呈现攻击占比", "Presentation attacks"},
	FailureRate: {"未通过率", "Without a match"},
	CodeRate:    {"结果码占比", "Results with the code"},
	VolumeHigh:  {"核验量", "Volume"},
	VolumeLow:   {"核验量", "Volume"},
	Charges:     {"计费次数", "Charges"},
	Latency:     {"耗时 P95", "Latency, p95"},
	SourceFails: {"数据源失败率", "Source without an answer"},
	DiskFree:    {"磁盘剩余空间", "Free disk space"},
	CertDays:    {"证书剩余天数", "Certificate ends in"},
}

// Label is a measure's name in Chinese and English.
func Label(m Measure) (zh, en string) { return labels[m][0], labels[m][1] }

// events are the wire's words, and how a subject begins.
var events = map[string][2]string{
	webhook.EventFiring:    {"告警", "Firing"},
	webhook.EventRepeated:  {"告警持续", "Still firing"},
	webhook.EventRecovered: {"恢复", "Recovered"},
	webhook.EventTest:      {"测试消息", "Test"},
}

// value is a figure with its unit.
func value(u Unit, v float64) string {
	n := strconv.FormatFloat
	switch u {
	case Share:
		return n(100*v, 'f', 1, 64) + "%"
	case Milliseconds:
		return n(v, 'f', 0, 64) + " ms"
	case Days:
		return n(v, 'f', 1, 64) + " 天/days"
	}
	return n(v, 'f', -1, 64)
}

func sign(over bool) string {
	if over {
		return "≥"
	}
	return "≤"
}

// note is all that a message is made of.
type note struct {
	event   string
	rule    Rule
	kind    Kind
	reading Reading
	names   names
	node    string
	episode string
	since   time.Time
	because Because
	zone    *time.Location
	console string // address of the console's page; "" where it is not known
}

// subject is one line. The rule's name may hold anything that Validate lets through.
func (n note) subject() string {
	zh, _ := Label(n.rule.Measure)
	figure := "—"
	if n.reading.Known {
		figure = value(n.kind.Unit, n.reading.Value)
	}
	return fmt.Sprintf("[实人 shiren] %s %s：%s（%s %s，阈值 %s %s）", events[n.event][0], events[n.event][1], n.rule.Name, zh, figure, sign(n.kind.Over), value(n.kind.Unit, n.rule.Threshold))
}

// text is what people read, Chinese and English in each line.
func (n note) text() string {
	var b strings.Builder
	line := func(zh, en, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s %s: %s\n", zh, en, v)
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(n.zone).Format("2006-01-02 15:04:05 -07:00")
	}
	switch n.event {
	case webhook.EventTest:
		b.WriteString("这是一条测试消息，由管理台的“测试”按钮发出，并未发生告警。\nThis is a test, sent by the console's test button. Nothing happened.\n\n")
	case webhook.EventRecovered:
		b.WriteString("告警已恢复。\nThe alarm is over.\n\n")
		if n.because == ByTooFew {
			b.WriteString("原因：窗口内事件数低于最少事件数，指标无从计算；这不代表一切正常。\nIt ended because too few events are left in the window; that does not mean that all is well.\n\n")
		}
	case webhook.EventRepeated:
		b.WriteString("告警仍在持续。\nThe alarm goes on.\n\n")
	}
	zh, en := Label(n.rule.Measure)
	figure := "无 none"
	if n.reading.Known {
		figure = value(n.kind.Unit, n.reading.Value)
	}
	if n.reading.Events > 0 {
		if n.kind.Unit == Share {
			figure += fmt.Sprintf(" (%d / %d)", n.reading.Part, n.reading.Events)
		} else if n.kind.Unit == Milliseconds {
			figure += fmt.Sprintf(" (%d)", n.reading.Events)
		}
	}
	line("规则", "Rule", n.rule.Name)
	line(zh, en, figure)
	line("阈值", "Threshold", sign(n.kind.Over)+" "+value(n.kind.Unit, n.rule.Threshold))
	if n.rule.Window > 0 {
		line("窗口", "Window", fmt.Sprintf("%d 分钟/min", int(n.rule.Window/time.Minute)))
	}
	line("结果码", "Code", string(n.rule.Code))
	line("计费类型", "Charge", string(n.rule.Charge))
	if n.rule.Measure == SourceFails {
		line("数据源", "Source", n.reading.Detail)
	}
	line("应用", "App", named(string(n.rule.App), n.names.app))
	line("方案", "Plan", named(string(n.rule.Plan), n.names.plan))
	line("接口协议", "Protocol", n.rule.Protocol)
	line("节点", "Node", n.node)
	line("时间", "Time", stamp(n.reading.At))
	line("开始于", "Since", stamp(n.since))
	line("编号", "Firing", n.episode)
	line("管理台", "Console", n.console)
	return b.String()
}

// named is an id with its name. Names are the operator's own.
func named(id, name string) string {
	if name = notify.Clean(name, MaxName); name != "" {
		return id + " " + name
	}
	return id
}

// deliveries are the note for each receiver of the rule.
func (n note) deliveries(rand io.Reader, now time.Time) ([]notify.Delivery, error) {
	var list []notify.Delivery
	add := func(channel notify.Channel, to string) error {
		id, err := notify.NewID(rand)
		if err != nil {
			return err
		}
		d := notify.Delivery{
			ID: id, Channel: channel, To: to, About: n.rule.ID, Event: n.event, Created: now, State: notify.Waiting, Due: now, Until: now.Add(notify.Keep),
		}
		if channel == notify.Mail {
			d.Subject, d.Text = n.subject(), n.text()
		} else if d.Body, err = n.body(id); err != nil {
			return err
		}
		list = append(list, d)
		return nil
	}
	for _, to := range n.rule.Mails {
		if err := add(notify.Mail, to); err != nil {
			return nil, err
		}
	}
	for _, to := range n.rule.Webhooks {
		if err := add(notify.Webhook, to); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// body is the note for machines.
func (n note) body(id string) ([]byte, error) {
	r := n.rule
	m := webhook.Message{
		ID: id, Event: n.event, At: n.reading.At.UTC(), Firing: n.episode, Since: n.since.UTC(), Events: n.reading.Events, Detail: n.reading.Detail, Text: n.subject(),
		Rule: webhook.Rule{
			ID: r.ID, Name: r.Name, Measure: string(r.Measure), Unit: string(n.kind.Unit), Threshold: r.Threshold, Over: n.kind.Over, Window: int64(r.Window / time.Second),
			App: string(r.App), AppName: notify.Clean(n.names.app, MaxName), Plan: string(r.Plan), PlanName: notify.Clean(n.names.plan, MaxName), Protocol: r.Protocol,
			Code: string(r.Code), Source: r.Source, Charge: string(r.Charge),
		},
	}
	if n.reading.Known {
		m.Value = &n.reading.Value
	}
	if n.node != "" {
		m.Detail = n.node
	}
	if n.event == webhook.EventRecovered {
		m.Recovered = string(n.because)
	}
	return json.Marshal(m)
}
