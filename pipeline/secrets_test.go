package pipeline

import (
	"strings"
	"testing"
)

func TestWrongSecrets(t *testing.T) {
	secrets := func(entries string) map[string]string { return map[string]string{"secrets": "{" + entries + "}"} }
	testWrong(t, []wrongConfig{
		{"lower case", secrets("openai-api_key: {secure: x}"), []string{
			`clawft:secrets.openai-api_key: got the name "openai-api_key"; want the name of an environment variable: capital letters, digits and _, not starting with a digit, such as OPENAI_API_KEY`,
		}},
		{"reserved", secrets("HOME: {secure: x}, RUST_LOG: {secure: x}, WEFTOS_NO_UPDATE_CHECK: {secure: x}"), []string{
			"clawft:secrets.HOME: got a reserved name; want another name: HOME decides where the gateway keeps its data and is fixed in the image",
			"clawft:secrets.RUST_LOG: got a reserved name; want gateway.logLevel instead",
			"clawft:secrets.WEFTOS_NO_UPDATE_CHECK: got a reserved name; want another name: the pipeline switches the gateway's update check off itself",
		}},
		{"empty", secrets("OPENAI_API_KEY: {secure: ''}"), []string{
			"clawft:secrets.OPENAI_API_KEY: got an empty value; want a secret: pulumi config set --stack dev --secret --path 'clawft:secrets.OPENAI_API_KEY'; or no entry at all",
		}},
		{"what a file or a web page adds", secrets(`OPENAI_API_KEY: {secure: "\uFEFFa"}, GROQ_API_KEY: {secure: "a\u200Bb"}, XAI_API_KEY: {secure: "a\u00A0"}, MISTRAL_API_KEY: {secure: " a"}`), []string{
			"clawft:secrets.GROQ_API_KEY: got a value with blanks around it or with invisible characters, such as a byte order mark; want the value alone: pulumi config set --stack dev --secret --path 'clawft:secrets.GROQ_API_KEY'",
			"clawft:secrets.MISTRAL_API_KEY: got a value with blanks around it or with invisible characters, such as a byte order mark; want the value alone: pulumi config set --stack dev --secret --path 'clawft:secrets.MISTRAL_API_KEY'",
			"clawft:secrets.OPENAI_API_KEY: got a value with blanks around it or with invisible characters, such as a byte order mark; want the value alone: pulumi config set --stack dev --secret --path 'clawft:secrets.OPENAI_API_KEY'",
			"clawft:secrets.XAI_API_KEY: got a value with blanks around it or with invisible characters, such as a byte order mark; want the value alone: pulumi config set --stack dev --secret --path 'clawft:secrets.XAI_API_KEY'",
		}},
		{"several lines", secrets(`OPENAI_API_KEY: {secure: "a\nb"}`), []string{
			"clawft:secrets.OPENAI_API_KEY: got a value of several lines or with control characters; want one line of text, because it is passed on in an environment file",
		}},
		{"a whole file", secrets("OPENAI_API_KEY: {secure: " + strings.Repeat("x", 61440+1) + "}"), []string{
			"clawft:secrets.OPENAI_API_KEY: got a value of 61441 bytes; want at most 61440, because it is passed on in an environment file",
		}},
		{"misspelt", secrets("OPENAPI_API_KEY: {secure: x}, GEMINI_API_KEY: {secure: x}"), []string{
			"clawft:secrets.GEMINI_API_KEY: got a name that the gateway does not read; want GOOGLE_GEMINI_API_KEY",
			"clawft:secrets.OPENAPI_API_KEY: got a name that the gateway does not read; want OPENAI_API_KEY",
		}},
	})

	for _, fine := range []string{
		"OPENAI_API_KEY: {secure: x}, OPENAPI_API_KEY: {secure: x}", // not a slip if both are there
		"GITHUB_TOKEN: {secure: x}",                                 // for a command that the agent runs
	} {
		if _, err := with(secrets(fine)).load(t, "dev"); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
}
