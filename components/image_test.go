package components

import (
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

func imageArgs() *ImageArgs {
	return &ImageArgs{
		Repository: "ghcr.io/clawft/clawft",
		Version:    "0.6.19",
		Context:    "https://github.com/weave-logic-ai/clawft.git#" + strings.Repeat("a1", 20),
		Revision:   strings.Repeat("a1", 20),
		Created:    time.Date(2026, time.February, 28, 23, 30, 0, 0, time.FixedZone("", -5*60*60)),
		Source:     "https://github.com/weave-logic-ai/clawft",
		Dockerfile: "Dockerfile",
		Platforms:  []string{"linux/amd64", "linux/arm64"},
	}
}

func buildOf(t *testing.T, r *recorder.Recorder, change func(*ImageArgs)) *recorder.Resource {
	t.Helper()
	mustRun(t, r, func(ctx *pulumi.Context) error {
		args := imageArgs()
		if change != nil {
			change(args)
		}
		_, err := NewImage(ctx, "gateway", args)
		return err
	})
	return mustFind(t, r, "docker-build:index:Image", "gateway-build")
}

func TestImageIsPushedByDigestOnly(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		build := buildOf(t, r, nil)
		wantInputs(t, build, map[string]string{
			"exports": `[{"registry":{"names":["ghcr.io/clawft/clawft"],"ociMediaTypes":true,"push":true,"pushByDigest":true}}]`,
			"tags":    "null",
			// Pushes once more, by tag.
			"push":           "false",
			"load":           "null",
			"buildOnPreview": "false",
			"platforms":      `["linux/amd64","linux/arm64"]`,
			"dockerfile":     `{"location":"Dockerfile"}`,
		})
	})
}

func TestImageArgs(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*ImageArgs)
		want   map[string]string
	}{
		{"a release", nil, map[string]string{
			"context.location": `"https://github.com/weave-logic-ai/clawft.git#` + strings.Repeat("a1", 20) + `"`,
			"context.named":    "null",
			"buildArgs": `{"BUILDKIT_MULTI_PLATFORM":"1","CREATED":"2026-03-01T04:30:00Z","REVISION":"` + strings.Repeat("a1", 20) +
				`","SOURCE":"https://github.com/weave-logic-ai/clawft","VERSION":"0.6.19"}`,
			"labels": `{"org.opencontainers.image.created":"2026-03-01T04:30:00Z","org.opencontainers.image.revision":"` + strings.Repeat("a1", 20) +
				`","org.opencontainers.image.source":"https://github.com/weave-logic-ai/clawft","org.opencontainers.image.version":"0.6.19"}`,
			"registries": "null",
		}},
		{"a directory", func(args *ImageArgs) {
			args.Context, args.Revision, args.Created, args.Source = "./src", "", time.Time{}, ""
		}, map[string]string{
			"context.location": `"./src"`,
			"buildArgs":        `{"BUILDKIT_MULTI_PLATFORM":"1","VERSION":"0.6.19"}`,
			"labels":           `{"org.opencontainers.image.version":"0.6.19"}`,
		}},
		{"build arguments", func(args *ImageArgs) {
			args.Revision, args.Created, args.Source = "", time.Time{}, ""
			args.BuildArgs = map[string]string{"FEATURES": "all", "VERSION": "0.0.0"}
		}, map[string]string{
			"buildArgs": `{"BUILDKIT_MULTI_PLATFORM":"1","FEATURES":"all","VERSION":"0.6.19"}`,
		}},
		{"named contexts", func(args *ImageArgs) {
			args.Contexts = map[string]string{"debian:bookworm-slim": "docker-image://mirror.example.org/debian:bookworm-slim"}
		}, map[string]string{
			"context.named": `{"debian:bookworm-slim":{"location":"docker-image://mirror.example.org/debian:bookworm-slim"}}`,
		}},
		{"a Dockerfile that is not in the context", func(args *ImageArgs) { args.DockerfileText = "FROM scratch\n" }, map[string]string{
			"dockerfile": `{"inline":"FROM scratch\n"}`,
		}},
		{"one platform", func(args *ImageArgs) { args.Platforms = []string{"linux/arm64"} }, map[string]string{
			"platforms": `["linux/arm64"]`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				wantInputs(t, buildOf(t, r, test.change), test.want)
			})
		})
	}
}

func TestImageLeavesTheCallersBuildArgs(t *testing.T) {
	given := map[string]string{"FEATURES": "all"}
	buildOf(t, newRecorder(t), func(args *ImageArgs) { args.BuildArgs = given })
	if len(given) != 1 {
		t.Errorf("the caller's map now holds %v", given)
	}
}

func TestCache(t *testing.T) {
	for _, test := range []struct {
		name     string
		cache    Cache
		from, to string
	}{
		{"GitHub Actions", Cache{Type: "gha"}, `[{"gha":{`, `[{"gha":{`},
		{"registry", Cache{Type: "registry", Ref: "ghcr.io/clawft/clawft:buildcache"},
			`[{"registry":{"ref":"ghcr.io/clawft/clawft:buildcache"}}]`,
			// A manifest of its own kind is refused by distribution 3, among others.
			`[{"registry":{"ignoreError":true,"imageManifest":true,"mode":"max","ociMediaTypes":true,`},
		{"local", Cache{Type: "local", Ref: "/var/cache/clawft"}, `[{"local":{"src":"/var/cache/clawft"}}]`, `[{"raw":"type=local,mode=max,ignore-error=true,dest=/var/cache/clawft"}]`},
		{"none", Cache{}, "null", "null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				build := buildOf(t, r, func(args *ImageArgs) { args.Cache = test.cache })
				if from := input(t, build, "cacheFrom"); !strings.HasPrefix(from, test.from) {
					t.Errorf("read from %s, want %s", from, test.from)
				}
				to := input(t, build, "cacheTo")
				if !strings.HasPrefix(to, test.to) {
					t.Errorf("written to %s, want %s", to, test.to)
				}
				if test.to == "null" {
					return
				}
				// Without the stages, a changed version compiles everything again.
				if !strings.Contains(to, `"mode":"max"`) && !strings.Contains(to, "mode=max") {
					t.Errorf("only the last stage is cached: %s", to)
				}
				if !strings.Contains(to, `"ignoreError":true`) && !strings.Contains(to, "ignore-error=true") {
					t.Errorf("a cache that cannot be written fails the build: %s", to)
				}
				if test.cache.Ref != "" && !strings.Contains(to, test.cache.Ref) {
					t.Errorf("written elsewhere than read from: %s", to)
				}
			})
		})
	}
}

func TestPushCredentials(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		build := buildOf(t, r, func(args *ImageArgs) {
			args.PushCredentials = &RegistryCredentials{Server: "ghcr.io", Username: "pusher", Password: pulumi.String(canary)}
		})
		wantInputs(t, build, map[string]string{
			"registries": `[{"address":"ghcr.io","password":"` + canary + `","username":"pusher"}]`,
		})
		wantNoPlainText(t, r, canary)
	})
}

func TestBuilder(t *testing.T) {
	for _, test := range []struct {
		name    string
		builder Builder
		want    map[string]string
	}{
		{"a container", Builder{Name: "clawft-multiarch", Driver: "docker-container"}, map[string]string{
			"name": `"clawft-multiarch"`, "node": `"clawft-multiarch0"`, "driver": `"docker-container"`, "endpoint": "null",
			"use": "false", // the user's default builder is not ours
		}},
		{"a remote one", Builder{Name: "lab", Driver: "remote", Endpoint: "unix:///run/buildkitd.sock"}, map[string]string{
			"name": `"lab"`, "driver": `"remote"`, "endpoint": `"unix:///run/buildkitd.sock"`, "use": "false",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				build := buildOf(t, r, func(args *ImageArgs) { args.Builder = test.builder })
				builder := mustFind(t, r, "docker:index/buildxBuilder:BuildxBuilder", "gateway-builder")
				wantInputs(t, builder, test.want)
				if !builder.Request.GetRetainOnDelete() {
					t.Error("destroying this stack would take the builder of others")
				}
				wantInputs(t, build, map[string]string{"builder": `{"name":"` + test.builder.Name + `"}`})
				if !strings.Contains(strings.Join(dependencies(build), " "), "gateway-builder") {
					t.Error("the build does not wait for its builder")
				}
			})
		})
	}
}

// What is on one machine is no part of the stack, unless it is asked for.
func TestBuilderThatExists(t *testing.T) {
	for name, want := range map[string]string{"": "null", "multi": `{"name":"multi"}`} {
		inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
			build := buildOf(t, r, func(args *ImageArgs) { args.Builder.Name = name })
			wantInputs(t, build, map[string]string{"builder": want})
			if made := r.Names("docker:index/buildxBuilder:BuildxBuilder"); len(made) > 0 {
				t.Errorf("the builder %q is made: %v", name, made)
			}
		})
	}
}

func TestImageNeedsAPlatform(t *testing.T) {
	r := newRecorder(t)
	err := r.Run(func(ctx *pulumi.Context) error {
		args := imageArgs()
		args.Platforms = nil
		_, err := NewImage(ctx, "gateway", args)
		return err
	})
	if want := "an image needs at least one platform (ImageArgs.Platforms)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if r.Find("clawft:index:Image", "gateway") != nil {
		t.Error("the image was registered before its arguments were checked")
	}
}
