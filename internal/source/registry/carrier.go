package registry

import (
	"errors"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// segments are the carriers that number segments of 3 or 4 digits were assigned to,
// virtual operators under the carrier whose network they use. Source: the Ministry of
// Industry and Information Technology's numbering plan (电信网编号计划, 2017) and later
// assignments, as collected in libphonenumber's resources/carrier/zh/86.txt (2024);
// 192 is China Broadnet's (MIIT, 2019).
var segments = map[string]ekyc.Carrier{
	"134": ekyc.ChinaMobile, "135": ekyc.ChinaMobile, "136": ekyc.ChinaMobile, "137": ekyc.ChinaMobile, "138": ekyc.ChinaMobile,
	"139": ekyc.ChinaMobile, "147": ekyc.ChinaMobile, "148": ekyc.ChinaMobile, "150": ekyc.ChinaMobile, "151": ekyc.ChinaMobile,
	"152": ekyc.ChinaMobile, "157": ekyc.ChinaMobile, "158": ekyc.ChinaMobile, "159": ekyc.ChinaMobile, "165": ekyc.ChinaMobile,
	"172": ekyc.ChinaMobile, "178": ekyc.ChinaMobile, "182": ekyc.ChinaMobile, "183": ekyc.ChinaMobile, "184": ekyc.ChinaMobile,
	"187": ekyc.ChinaMobile, "188": ekyc.ChinaMobile, "195": ekyc.ChinaMobile, "197": ekyc.ChinaMobile, "198": ekyc.ChinaMobile,
	"1440": ekyc.ChinaMobile, "1703": ekyc.ChinaMobile, "1705": ekyc.ChinaMobile, "1706": ekyc.ChinaMobile,

	"130": ekyc.ChinaUnicom, "131": ekyc.ChinaUnicom, "132": ekyc.ChinaUnicom, "145": ekyc.ChinaUnicom, "146": ekyc.ChinaUnicom,
	"155": ekyc.ChinaUnicom, "156": ekyc.ChinaUnicom, "166": ekyc.ChinaUnicom, "167": ekyc.ChinaUnicom, "171": ekyc.ChinaUnicom,
	"175": ekyc.ChinaUnicom, "176": ekyc.ChinaUnicom, "185": ekyc.ChinaUnicom, "186": ekyc.ChinaUnicom, "196": ekyc.ChinaUnicom,
	"1704": ekyc.ChinaUnicom, "1707": ekyc.ChinaUnicom, "1708": ekyc.ChinaUnicom, "1709": ekyc.ChinaUnicom,

	"133": ekyc.ChinaTelecom, "149": ekyc.ChinaTelecom, "153": ekyc.ChinaTelecom, "162": ekyc.ChinaTelecom, "173": ekyc.ChinaTelecom,
	"174": ekyc.ChinaTelecom, "177": ekyc.ChinaTelecom, "180": ekyc.ChinaTelecom, "181": ekyc.ChinaTelecom, "189": ekyc.ChinaTelecom,
	"190": ekyc.ChinaTelecom, "191": ekyc.ChinaTelecom, "193": ekyc.ChinaTelecom, "199": ekyc.ChinaTelecom,
	"1349": ekyc.ChinaTelecom, "1410": ekyc.ChinaTelecom, "1700": ekyc.ChinaTelecom, "1701": ekyc.ChinaTelecom, "1702": ekyc.ChinaTelecom,

	"192": ekyc.ChinaBroadcast,
}

// CarrierOf is the carrier that a number's segment was assigned to, "" for a segment that
// is not in the table. Numbers have been portable between carriers since November 2019
// (携号转网), so it is where a number began and not surely where it is: a record that names
// the carrier is believed first.
func CarrierOf(n cnid.Mobile) ekyc.Carrier {
	if len(n) != 11 {
		return ""
	}
	if c, ok := segments[string(n[:4])]; ok {
		return c
	}
	return segments[string(n[:3])]
}

// carriers are the ways in which files name carriers.
var carriers = map[string]ekyc.Carrier{
	"": "", noCarrier: "", "mobile": ekyc.ChinaMobile, "移动": ekyc.ChinaMobile, "中国移动": ekyc.ChinaMobile,
	"unicom": ekyc.ChinaUnicom, "联通": ekyc.ChinaUnicom, "中国联通": ekyc.ChinaUnicom,
	"telecom": ekyc.ChinaTelecom, "电信": ekyc.ChinaTelecom, "中国电信": ekyc.ChinaTelecom,
	"broadcast": ekyc.ChinaBroadcast, "广电": ekyc.ChinaBroadcast, "中国广电": ekyc.ChinaBroadcast,
}

// ParseCarrier reads a carrier as files and flags name it; "" and "-" name none.
func ParseCarrier(s string) (ekyc.Carrier, error) {
	c, ok := carriers[s]
	if !ok {
		return "", errors.New("want mobile, unicom, telecom or broadcast (移动, 联通, 电信, 广电)")
	}
	return c, nil
}
