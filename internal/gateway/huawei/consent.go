package huawei

import "shiren/internal/ekyc"

// The texts that a user agrees to where no camera is used. On the vendor's phones its own
// account service shows them; the wording is ours, after the same articles of the Personal
// Information Protection Law as the built-in text for faces.
var (
	confirmText = ekyc.Consent{Version: "confirm-2026-1", Text: map[string]string{
		"zh-CN": `应用希望核对您的实名信息是否与其登记的一致。

一、处理的信息：您此前通过人脸核验确认的姓名和身份证号码。这些属于敏感个人信息。

二、处理的目的与方式：与应用提交的摘要进行比对，只将“一致”或“不一致”的结论告知应用，不提供姓名和号码本身。

三、您的权利：您可以拒绝。拒绝后不会进行比对，您可以向应用询问其他办理方式。

点击“同意”即表示您单独授权就上述目的处理您的敏感个人信息。`,
		"en": `The app wants to check whether the real name it has for you is yours.

1. What is processed: the name and identity number that were confirmed by your face verification before. They are sensitive personal information.

2. Why and how: they are compared with digests that the app sent. The app learns "the same" or "not the same" and not the name or number themselves.

3. Your rights: you may refuse. Nothing is compared then, and you can ask the app for another way.

By choosing "Agree" you separately consent to this processing of your sensitive personal information.`,
	}}
	discloseText = ekyc.Consent{Version: "disclose-2026-1", Text: map[string]string{
		"zh-CN": `应用希望获取您的实名信息。

一、提供的信息：您此前通过人脸核验确认的姓名和身份证号码。这些属于敏感个人信息。

二、处理的目的与方式：加密后提供给应用，由应用按照其隐私政策使用；三日内应用可以读取。

三、您的权利：您可以拒绝。拒绝后不会提供任何信息，您可以向应用询问其他办理方式。

点击“同意”即表示您单独授权就上述目的提供您的敏感个人信息。`,
		"en": `The app wants to have your real name.

1. What is given: the name and identity number that were confirmed by your face verification before. They are sensitive personal information.

2. Why and how: they are given to the app, encrypted, for use as its privacy policy says. The app can read them for three days.

3. Your rights: you may refuse. Nothing is given then, and you can ask the app for another way.

By choosing "Agree" you separately consent to your sensitive personal information being given for this purpose.`,
	}}
)
