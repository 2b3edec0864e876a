package sbom

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// program returns an ELF file as small as one can be, which says that it is made
// of the crates of a list, or nothing if the list is empty.
func program(t *testing.T, list string) []byte {
	t.Helper()
	var section bytes.Buffer
	compressor := zlib.NewWriter(&section)
	if _, err := io.WriteString(compressor, list); err != nil {
		t.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		t.Fatal(err)
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	if list == "" {
		names = "\x00.comment\x00.shstrtab\x00"
	}
	const headerSize, sectionSize = 64, 64
	dataAt := uint64(headerSize)
	namesAt := dataAt + uint64(section.Len())
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: namesAt + uint64(len(names)), Ehsize: headerSize, Shentsize: sectionSize, Shnum: 3, Shstrndx: 2,
	}
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: dataAt, Size: uint64(section.Len())},
		{Name: uint32(bytes.IndexByte([]byte(names[1:]), 0) + 2), Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))},
	}
	var file bytes.Buffer
	for _, part := range []any{header, section.Bytes(), []byte(names), sections} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func TestReadCrates(t *testing.T) {
	crates, err := readCrates(program(t, cratesText))
	if err != nil {
		t.Fatal(err)
	}
	if len(crates) != 3 || !crates[0].Root || crates[1].Name != "openssl-sys" || crates[2].Kind != "build" {
		t.Errorf("the crates are %+v", crates)
	}
	for _, silent := range [][]byte{program(t, ""), []byte("#!/bin/sh\n"), nil} {
		if _, err := readCrates(silent); !errors.Is(err, errNoCrates) {
			t.Errorf("got %v of %q, want %v", err, silent, errNoCrates)
		}
	}
}
