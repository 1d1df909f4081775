// Package huawei holds the gateway to the vendor's pages: a file under testdata for each
// documented case, citing its clause, and tests with clients that are not ours: captured
// requests of one on BouncyCastle, OpenSSL, and npm sm-crypto.
package huawei
