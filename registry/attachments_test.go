package registry

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestAttachments(t *testing.T) {
	repository := open(t, serve(t), login)
	digest := push(t, repository, "0.6.19", randomImage(t, 64))
	want := []Attachment{
		{MediaType: "application/vnd.test+json", Annotations: map[string]string{"by": "a"}, Content: []byte(`{"n":1}`)},
		{MediaType: "application/vnd.test+json", Annotations: map[string]string{"by": "b"}, Content: []byte(`{"n":2}`)},
		// The same content twice is one blob, and still two attachments.
		{MediaType: "application/vnd.test+json", Annotations: map[string]string{"by": "c"}, Content: []byte(`{"n":1}`)},
	}
	read := func() []Attachment {
		t.Helper()
		got, err := repository.Attachments(t.Context(), digest, Signatures)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); got != nil {
		t.Errorf("attached is %v before anything was", got)
	}
	for n, attachments := range [][]Attachment{want[:1], want[1:]} {
		if err := repository.Attach(t.Context(), digest, Signatures, attachments...); err != nil {
			t.Fatal(err)
		}
		if got := read(); len(got) == 0 || n == 1 && !reflect.DeepEqual(got, want) {
			t.Errorf("attached is %v, want %v", got, want)
		}
	}
	if other, err := repository.Attachments(t.Context(), digest, Attestations); err != nil || other != nil {
		t.Errorf("attestations are %v, %v; only signatures were attached", other, err)
	}
	// Where cosign looks for it.
	tag := "sha256-" + digest[len("sha256:"):] + ".sig"
	if _, err := repository.Digest(t.Context(), tag); err != nil {
		t.Errorf("looking for %s: %v", tag, err)
	}
}

func TestAttachmentsThatCannotBe(t *testing.T) {
	name := serve(t)
	repository := open(t, name, login)
	digest := push(t, repository, "0.6.19", randomImage(t, 64))
	for _, digest := range []string{"", "latest", digest[:20]} {
		if err := repository.Attach(t.Context(), digest, Signatures, Attachment{}); err == nil {
			t.Errorf("something was attached to %q", digest)
		}
		if _, err := repository.Attachments(t.Context(), digest, Signatures); err == nil {
			t.Errorf("something is attached to %q", digest)
		}
	}
	stranger := open(t, name, &Login{Username: "clawft", Password: "wrong"})
	if _, err := stranger.Attachments(t.Context(), digest, Signatures); !errors.Is(err, ErrDenied) {
		t.Errorf("reading with a wrong login: %v, want %v", err, ErrDenied)
	}
	if err := stranger.Attach(t.Context(), digest, Signatures, Attachment{Content: []byte("x")}); !errors.Is(err, ErrDenied) {
		t.Errorf("writing with a wrong login: %v, want %v", err, ErrDenied)
	}
	large := Attachment{MediaType: "text/plain", Content: bytes.Repeat([]byte("x"), maxAttachment+1)}
	if err := repository.Attach(t.Context(), digest, Attestations, large); err != nil {
		t.Fatal(err)
	}
	if _, err := repository.Attachments(t.Context(), digest, Attestations); err == nil {
		t.Error("an attachment of any size was read")
	}
}
