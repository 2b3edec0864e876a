package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Value is a configuration value.
type Value struct {
	Text   string
	Secret bool
}

// Settings are configuration values by path, such as "clawft:hosts[1].address".
type Settings map[string]Value

// writeSettings makes the stack's settings those of the stack file with values
// on top. It writes the file itself, since `pulumi config set` takes secrets on
// its command line, where every user of the machine can read them.
func (o Options) writeSettings(ctx context.Context, passphrase string, values Settings) error {
	base, err := os.ReadFile(o.StackFile)
	if err != nil {
		return fmt.Errorf("reading the stack file: %w", err)
	}
	wanted, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	// Encrypting anew would change the file at every run.
	path := o.settingsFile(o.home())
	mark := filepath.Join(o.home(), "configured")
	sum := checksum(base, wanted, []byte(passphrase))
	if was, err := os.ReadFile(mark); err == nil && string(was) == sum {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}

	settings, err := loadSettings(base, o.StackFile)
	if err != nil {
		return err
	}
	salt, err := currentSalt(path)
	if err == nil && salt == "" {
		// It is in the repository, from which every machine has it.
		salt, err = currentSalt(o.settingsFile(o.Dir))
	}
	if err != nil {
		return err
	}
	crypter, err := newCrypter(ctx, passphrase, &salt)
	if err != nil {
		return err
	}
	settings.EncryptionSalt = salt
	for _, path := range slices.Sorted(maps.Keys(values)) {
		namespace, name, ok := strings.Cut(path, ":")
		if !ok {
			return fmt.Errorf("the configuration key %q has no namespace; want one such as clawft:%[1]s", path)
		}
		// A name may hold colons of its own, within brackets.
		key := config.MustMakeKey(namespace, name)
		value := config.NewValue(values[path].Text)
		if values[path].Secret {
			hidden, err := crypter.EncryptValue(ctx, values[path].Text)
			if err != nil {
				return fmt.Errorf("encrypting %s: %w", path, err)
			}
			value = config.NewSecureValue(hidden)
		}
		if err := settings.Config.Set(key, value, true); err != nil {
			return fmt.Errorf("setting %s: %w", path, err)
		}
	}
	if err := settings.Save(path); err != nil {
		return fmt.Errorf("writing the stack's settings: %w", err)
	}
	if err := os.WriteFile(mark, []byte(sum), 0o600); err != nil {
		return fmt.Errorf("noting the configuration: %w", err)
	}
	return nil
}

// settingsFile is the stack's file in the project of a home.
func (o Options) settingsFile(home string) string {
	return filepath.Join(ProjectDir(home), "Pulumi."+o.Name+".yaml")
}

// announceKeys tells the program which keys its stack has, as a language host
// does, so that it finds those that it does not know. Values are left out: an
// inline program gets them from the engine, and an environment is readable.
func (o Options) announceKeys() error {
	path := o.settingsFile(o.home())
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the stack's settings: %w", err)
	}
	settings, err := loadSettings(content, path)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for key := range settings.Config {
		keys[key.String()] = ""
	}
	encoded, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("encoding the configuration's keys: %w", err)
	}
	return os.Setenv(pulumi.EnvConfig, string(encoded))
}

func loadSettings(content []byte, path string) (*workspace.ProjectStack, error) {
	var messages bytes.Buffer
	sink := diag.DefaultSink(&messages, &messages, diag.FormatOptions{Color: colors.Never})
	settings, err := workspace.LoadProjectStackBytes(sink, &workspace.Project{Name: Project}, content, path, encoding.YAML)
	if err != nil {
		return nil, fmt.Errorf("reading the stack file %s: %w", path, err)
	}
	if settings.Config == nil {
		settings.Config = config.Map{}
	}
	return settings, nil
}

// currentSalt returns the salt of settings that exist; the state's secrets can
// be read only with it.
func currentSalt(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the stack's settings: %w", err)
	}
	settings, err := loadSettings(content, path)
	if err != nil {
		return "", err
	}
	return settings.EncryptionSalt, nil
}

// newCrypter returns what encrypts the settings' secrets, and fills in the salt
// if there is none. Its form is Pulumi's: "v1:", the salt in base64, ":", and a
// word encrypted with it, from which Pulumi tells a wrong passphrase.
func newCrypter(ctx context.Context, passphrase string, salt *string) (config.Crypter, error) {
	if *salt != "" {
		parts := strings.SplitN(*salt, ":", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("the stack's encryption salt %q is not of the form v1:SALT:CHECK", *salt)
		}
		raw, err := base64.StdEncoding.DecodeString(parts[1])
		if err != nil {
			return nil, fmt.Errorf("decoding the stack's encryption salt: %w", err)
		}
		return config.NewSymmetricCrypterFromPassphrase(passphrase, raw), nil
	}
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	crypter := config.NewSymmetricCrypterFromPassphrase(passphrase, raw)
	check, err := crypter.EncryptValue(ctx, "pulumi")
	if err != nil {
		return nil, fmt.Errorf("making the stack's encryption salt: %w", err)
	}
	*salt = fmt.Sprintf("v1:%s:%s", base64.StdEncoding.EncodeToString(raw), check)
	return crypter, nil
}

func checksum(parts ...[]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\n", len(part))
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
