package config

import (
	"strings"

	"shiren/internal/ekyc"
)

// DefaultConsent is the authorisation text of plans that bring none. It says what is
// collected, why, how long it is kept and what refusing means, as the Personal
// Information Protection Law (articles 17, 29 and 30) asks for sensitive personal
// information; an operator's counsel should replace it. The wording is ours.
func DefaultConsent() ekyc.Consent {
	return ekyc.Consent{
		Version: "2026-1",
		Text: map[string]string{
			"zh-CN": `为确认是您本人在办理业务,我们需要处理您的人脸信息。请您阅读以下内容后自行决定是否同意。

一、处理的信息:核验过程中由摄像头采集的人脸图像及由其计算的人脸特征;业务需要时,还包括您的姓名和证件号码。人脸信息和证件号码属于敏感个人信息。

二、处理的目的与方式:判断摄像头前是否为真人,并与业务方提供的照片或权威来源的照片进行比对,得出是否为同一人的结论。信息仅用于本次核验。

三、保存与安全:图像加密保存在业务方部署的服务器上,核验结束后最长保存三日,到期自动删除;不会用于其他目的。

四、您的权利:您可以拒绝。拒绝后本次人脸核验不会进行,您可以向业务方询问其他办理方式,也可以要求查阅、更正或删除您的信息。

点击“同意”即表示您已阅读并同意就上述目的单独授权处理您的敏感个人信息。`,
			"en": `To confirm that you yourself are acting, we need to process your face data. Please read this and decide whether you agree.

1. What is processed: face images taken by the camera during this verification and the features computed from them; where the service needs it, your name and identity document number as well. Face data and document numbers are sensitive personal information.

2. Why and how: to tell whether a living person is in front of the camera and whether that person is the one in the photograph given by the service or held by an authority. The data is used for this verification only.

3. Storage and security: images are encrypted on a server run by the service you are using, kept for at most three days after the verification, and then erased automatically. They are used for nothing else.

4. Your rights: you may refuse. The face verification then does not take place, and you can ask the service for another way. You can also ask to see, correct or erase your data.

By choosing "Agree" you confirm that you have read this and separately consent to the processing of your sensitive personal information for the purpose above.`,
		},
	}
}

// DocumentConsent is DefaultConsent for plans that read the capture subject's document.
func DocumentConsent() ekyc.Consent {
	c := DefaultConsent()
	c.Version += "-document"
	for lang, change := range map[string][2]string{
		"zh-CN": {
			"业务需要时,还包括您的姓名和证件号码。人脸信息和证件号码属于敏感个人信息。",
			"您的身份证件照片,以及从中读取的姓名、性别、民族、出生日期、住址、证件号码、签发机关和有效期限。人脸信息、证件照片和证件号码属于敏感个人信息。",
		},
		"en": {
			"where the service needs it, your name and identity document number as well. Face data and document numbers are sensitive personal information.",
			"pictures of your identity document, and what is read from them: name, gender, nation, date of birth, address, number, issuing authority and validity. Face data, pictures of documents and document numbers are sensitive personal information.",
		},
	} {
		c.Text[lang] = strings.Replace(c.Text[lang], change[0], change[1], 1)
	}
	return c
}
