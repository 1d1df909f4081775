// Package baidu is Baidu's H5 face verification protocol as Go: the messages of every
// interface, every documented code, both authentications and a client for all of it.
// It needs the standard library only.
//
// The words of the vendor's page ("人脸实名认证 H5方案 接口文档", called "seed" in the
// comments here) are kept in names and JSON tags. Two families of interfaces differ:
//
//   - the scheme's, under /rpc/2.0/brain/solution/faceprint/: {"success", "result",
//     "log_id"}, log_id a string;
//   - the single interfaces, under /rest/2.0/face/: {"error_code", "error_msg",
//     "log_id", "timestamp", "cached", "result"}, log_id a number.
//
// Both say errors with HTTP status 200 and an error_code; Client turns them into *Error.
//
// A verification in five steps: Client.Generate a verify token; Client.SubmitIDCard or
// Client.UploadMatchImage where the plan asks for it; send the capture subject to
// H5URL; then read Client.Detail, and Client.GetAll for all attempts and charges.
package baidu
