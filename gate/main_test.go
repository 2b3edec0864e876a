package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func TestDocumentsAndCommands(t *testing.T) {
	for _, test := range []struct {
		name, document, want string
		args                 []string
	}{
		{"no proof", "{}", "usage: gate size|smoke|unpublished|attest|signed", nil},
		{"an unknown proof", "{}", `got ["sise"]`, []string{"sise"}},
		{"a document as an argument", "", "usage:", []string{"size", "{}"}},
		{"no document", "", "reading the document of gate size", []string{"size"}},
		{"a misspelled key", `{"limitMB": 50}`, `unknown field "limitMB"`, []string{"size"}},
		{"a proof that fails", `{"repository": "nowhere"}`, `gate size: `, []string{"size"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), test.args, strings.NewReader(test.document), &out)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if out.Len() > 0 {
				t.Errorf("printed %q, which would become the stack's state", out.String())
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	document := `{"repository": "127.0.0.1:1/clawft/clawft", "digest": "sha256:` + strings.Repeat("1", 64) + `"}`
	err := run(ctx, []string{"size"}, strings.NewReader(document), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v, want an error that says so", err)
	}
}
