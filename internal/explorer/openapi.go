package explorer

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

type object = map[string]any // encoding/json sorts its names: the document is the same every time

// OpenAPI is the description as an OpenAPI 3.1 document in JSON. server is where clients reach the
// server, without a path; where it is not known ("") addresses are relative to the document's own.
func OpenAPI(server, version string) ([]byte, error) {
	if server == "" {
		server = "/"
	}
	paths, schemas, tags := object{}, object{}, []any{}
	for _, vendor := range []Text{{"百度 H5 人脸实名认证与单接口", Baidu}, {"聚合数据 人脸要素核验", Juhe}, {"华为 Petal Pay 实名服务", Huawei}} {
		tags = append(tags, object{"name": vendor.EN, "description": vendor.ZH})
	}
	for _, i := range interfaces() {
		for n, path := range i.Paths() {
			item := object{}
			methods := i.Methods
			if len(methods) == 0 {
				methods = []string{i.Method}
			}
			for _, m := range methods {
				item[strings.ToLower(m)] = i.operation(m, n, schemas)
			}
			paths[path] = item
		}
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "shiren", "version": version, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"summary": "实人核验 · Face real-name verification over three vendors' protocols",
			"description": "中文说明在前，英文在后。`x-shiren-causes` names what of shiren's own codes an error code is said for.\n\n" +
				"Huawei's fields that are encrypted or digested are described as they are sent.",
		},
		"servers": []any{object{"url": server}},
		"tags":    tags,
		"paths":   paths,
		"components": object{"schemas": schemas, "securitySchemes": object{
			string(AuthToken):  apiKey("query", "access_token", "access_token 参数，由 /oauth/2.0/token 获取。\n\nAn access token from /oauth/2.0/token."),
			string(AuthBCE):    apiKey("header", "Authorization", "BCE v1 签名：bce-auth-v1/{AK}/{UTC 时间}/{秒}/{签名头}/{HMAC-SHA256}。\n\nA BCE v1 signature of method, path, query and host."),
			string(AuthKey):    apiKey("query", "key", "应用的 KEY；也可放在表单中。\n\nThe app's key, in the URL or in the form."),
			string(AuthPayDev): apiKey("header", "PayDevAuth", "JSON：clientId、accessToken、traceId、time、密钥 ID、bodySign、headerSign（SM2）。\n\nJSON with an access token and two SM2 signatures; see docs/huawei.md."),
		}},
	}
	return json.Marshal(doc)
}

func apiKey(in, name, about string) object {
	return object{"type": "apiKey", "in": in, "name": name, "description": about}
}

func (t Text) both() string { return t.ZH + "\n\n" + t.EN }

// shared puts a schema among the document's, once, under a name or, where that is another's, the
// next, and returns a reference to it.
func shared(schemas object, name string, s object) object {
	for n := 1; ; n++ {
		key := name
		if n > 1 {
			key += strconv.Itoa(n)
		}
		if old, ok := schemas[key]; !ok || reflect.DeepEqual(old, s) {
			schemas[key] = s
			return object{"$ref": "#/components/schemas/" + key}
		}
	}
}

// operation describes the interface at its nth path. What others may share goes to schemas.
func (i Interface) operation(method string, n int, schemas object) object {
	id := strings.ReplaceAll(i.ID, ".", "_")
	if method != i.Method {
		id += "_" + strings.ToLower(method)
	}
	if n > 0 {
		id += "_alias" + strconv.Itoa(n)
	}
	op := object{"operationId": id, "tags": []any{i.Vendor}, "summary": i.Title.ZH + " · " + i.Title.EN, "description": i.About.both(), "responses": i.responses(schemas)}
	security := []any{}
	for _, a := range i.Auth {
		if a == AuthNone {
			security = append(security, object{})
		} else {
			security = append(security, object{string(a): []any{}})
		}
	}
	op["security"] = security
	if i.Body == BodyQuery || method == "GET" {
		list := []any{}
		for _, f := range i.Request {
			list = append(list, object{"name": f.Name, "in": "query", "required": f.Required, "schema": f.schema(true)})
		}
		op["parameters"] = list
		return op
	}
	name := strings.ReplaceAll(i.ID, ".", "_")
	schema := objectSchema(i.Request, true)
	if i.List {
		each := i.Request[0]
		each.About = Text{}
		schema = object{"type": "array", "minItems": len(i.Request), "maxItems": len(i.Request), "items": each.schema(true)}
	}
	schema = shared(schemas, name+"_request", schema)
	op["requestBody"] = object{"required": true, "content": object{string(i.Body): object{"schema": schema}}}
	return op
}

func (i Interface) responses(schemas object) object {
	codes := []any{}
	for _, c := range i.Codes {
		codes = append(codes, object{"code": c.Code, "text": c.Text, "x-shiren-causes": c.Causes})
	}
	said := objectSchema(i.Refusal, false)
	said["x-shiren-codes"] = codes
	refusal := shared(schemas, i.Vendor+"_refusal", said)
	answered := object{}
	if len(i.Answer) > 0 {
		answered = shared(schemas, strings.ReplaceAll(i.ID, ".", "_")+"_answer", i.answerSchema())
	}
	content := object{}
	taken := "成功，或拒绝 · Taken, or refused"
	switch {
	case len(i.Binary) > 0:
		for _, kind := range i.Binary {
			content[kind] = object{}
		}
		taken = "成功 · Taken"
	case len(i.Statuses) > 0:
		content["application/json"] = object{"schema": answered}
		taken = "成功 · Taken"
	default:
		content["application/json"] = object{"schema": object{"anyOf": []any{answered, refusal}}}
	}
	list := object{"200": object{"description": taken, "content": content}}
	for _, s := range i.Statuses {
		list[strconv.Itoa(s)] = object{"description": "拒绝 · Refused", "content": object{"application/json": object{"schema": refusal}}}
	}
	return list
}

func (i Interface) answerSchema() object {
	s := objectSchema(i.Answer, false)
	if len(i.Results) > 0 {
		list := []any{}
		for _, r := range i.Results {
			list = append(list, object{"code": r.Code, "text": r.Text})
		}
		s["x-shiren-results"] = list
	}
	return s
}

func objectSchema(fields []Field, asked bool) object {
	properties, required := object{}, []any{}
	for _, f := range fields {
		properties[f.Name] = f.schema(asked)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema describes one field. asked says that it is a request's, where numbers may be texts.
func (f Field) schema(asked bool) object {
	var s object
	switch {
	case f.Every:
		s = object{"type": "object", "additionalProperties": objectSchema(f.Fields, asked)}
	case f.Type == Object && len(f.Fields) > 0:
		s = objectSchema(f.Fields, asked)
	case f.Type == Object: // a field that is always null
		s = object{"type": "null"}
	case f.Type == Array && f.Items == Object:
		s = object{"type": "array", "items": objectSchema(f.Fields, asked)}
	case f.Type == Array:
		s = object{"type": "array", "items": object{"type": string(f.Items)}}
	case f.Type == Image:
		s = object{"type": "string", "contentEncoding": "base64"}
	default:
		s = object{"type": string(f.Type)}
	}
	if f.Nullable && s["type"] != "null" {
		s["type"] = []any{s["type"], "null"}
	}
	if asked && f.Name == "plan_id" {
		s["type"] = []any{"string", "integer"}
	}
	if f.Max > 0 && f.Cipher == Plain {
		s["maxLength"] = f.Max
	}
	if len(f.Enum) > 0 {
		s["enum"] = f.Enum
	}
	if f.Example != nil && f.Cipher == Plain {
		s["examples"] = []any{f.Example}
	}
	if f.About != (Text{}) {
		s["description"] = f.About.both()
	}
	return s
}
