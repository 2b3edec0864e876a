package engine

import (
	"archive/tar"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// architectures are Go's names for the processors that an ELF header names.
var architectures = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
	elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x",
}

// maxLinks is how many links the kernel follows.
const maxLinks = 40

// Program is part of [deploy.Engine].
func (e *Engine) Program(ctx context.Context, id string) (string, error) {
	doing := fmt.Sprintf("looking at %s in container %.12s", program, id)
	name := program
	for range maxLinks {
		stat, err := e.client.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: name})
		if errdefs.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", e.failed(doing, err)
		}
		if stat.Stat.Mode&os.ModeSymlink == 0 {
			return e.platform(ctx, doing, id, name)
		}
		// The engine has made it absolute and keeps it within the container.
		target := stat.Stat.LinkTarget
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = target
	}
	return "", nil
}

func (e *Engine) platform(ctx context.Context, doing, id, name string) (string, error) {
	file, err := e.client.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", e.failed(doing, err)
	}
	defer file.Content.Close()
	archive := tar.NewReader(file.Content)
	entry, err := archive.Next()
	if err != nil {
		return "", e.failed(doing, err)
	}
	// Up to e_machine.
	header := make([]byte, 20)
	if _, err := io.ReadFull(archive, header); entry.Typeflag != tar.TypeReg || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil
	} else if err != nil {
		return "", e.failed(doing, err)
	}
	return platformOf(header), nil
}

// platformOf reads the beginning of a program; what is none is for no platform.
func platformOf(header []byte) string {
	if string(header[:4]) != elf.ELFMAG {
		return ""
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(header[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	machine := elf.Machine(order.Uint16(header[18:]))
	if name, ok := architectures[machine]; ok {
		return "linux/" + name
	}
	return "linux/" + strings.ToLower(strings.TrimPrefix(machine.String(), "EM_"))
}
