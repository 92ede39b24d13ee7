// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package download reads the files behind the signed links of Copilot usage reports
// (https://docs.github.com/rest/copilot/copilot-usage-metrics).
//
// A link comes from a response, so it is not trusted: it must be https, its host on a list, and the address of the host
// a public one, which is checked when the connection is made. The same holds for redirects. Requests have no
// credential: a storage service refuses a foreign one, and GitHub's must not go there.
//
// Who has a signed link can read the report. No error has a link in it, nor the text of a response.
package download
