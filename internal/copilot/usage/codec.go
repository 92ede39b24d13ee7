// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"math/bits"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// codecVersion is the first byte of a document.
const codecVersion = 2

// ErrInvalid is the error of data that is no document of samples.
var ErrInvalid = errors.New("not a document of Copilot samples")

// The label fields of a stored sample, as bits. A field that is not set is not stored.
const (
	fieldUserID = 1 << iota
	fieldLogin
	fieldTeam
	fieldDay
	fieldFeature
	fieldIDE
	fieldLanguage
	fieldModel
	fieldWindow
	fieldKind
	fieldOwner
	fieldRepository
	allFields = fieldRepository<<1 - 1
)

// The bits beside the metric of a stored sample.
const (
	// sameLabels says that the labels are those of the sample before, and not stored again.
	sameLabels = 0x40
	// isFraction says that the value is a float64 instead of a whole number.
	isFraction = 0x20
	metricBits = isFraction - 1
)

// maxExact is the largest value that a varint stores: above, not every whole number is a float64.
const maxExact = 1 << 53

// textFields are the labels that are texts, in the order in which they are stored.
func (l *Labels) textFields() [11]struct {
	bit  uint64
	text *string
} {
	return [11]struct {
		bit  uint64
		text *string
	}{
		{fieldUserID, (*string)(&l.User.ID)},
		{fieldLogin, &l.User.Login},
		{fieldTeam, &l.Team},
		{fieldFeature, &l.Feature},
		{fieldIDE, &l.IDE},
		{fieldLanguage, &l.Language},
		{fieldModel, &l.Model},
		{fieldWindow, &l.Window},
		{fieldKind, &l.Kind},
		{fieldOwner, &l.Owner},
		{fieldRepository, &l.Repository},
	}
}

// Encode returns samples as documents of at most maxSize bytes, each of which Decode reads alone. A sample that is
// larger than maxSize has a document of its own.
//
//	version (1 byte) │ samples: metric with bits (1 byte), unless the labels are the same: fields, texts, day │ value
//
// Numbers are varints, a fraction is that of a float64 with its bytes reversed. A text is 0, its length and its bytes
// where it is new in the document, and its number from 1 on afterwards.
func Encode(samples iter.Seq[Sample], maxSize int) [][]byte {
	var documents [][]byte
	e := newEncoder()
	for sample := range samples {
		size := len(e.data)
		e.add(&sample)
		if len(e.data) > maxSize && size > 1 {
			documents = append(documents, e.data[:size:size])
			e = newEncoder()
			e.add(&sample)
		}
	}
	if len(e.data) > 1 {
		documents = append(documents, e.data)
	}
	return documents
}

type encoder struct {
	data   []byte
	texts  map[string]uint64
	labels *Labels // those of the sample before; nil for none
}

func newEncoder() *encoder {
	return &encoder{data: []byte{codecVersion}, texts: make(map[string]uint64)}
}

func (e *encoder) add(sample *Sample) {
	head := byte(sample.Metric)
	isSame := e.labels != nil && *e.labels == sample.Labels
	if isSame {
		head |= sameLabels
	}
	isWhole := sample.Value == math.Trunc(sample.Value) && sample.Value >= 0 && sample.Value <= maxExact
	if !isWhole {
		head |= isFraction
	}
	e.data = append(e.data, head)
	if !isSame {
		e.addLabels(sample.Labels)
	}
	if isWhole {
		e.data = binary.AppendUvarint(e.data, uint64(sample.Value))
	} else {
		e.data = binary.AppendUvarint(e.data, bits.ReverseBytes64(math.Float64bits(sample.Value)))
	}
}

func (e *encoder) addLabels(labels Labels) {
	e.labels = &labels
	var fields uint64
	for _, field := range labels.textFields() {
		if *field.text != "" {
			fields |= field.bit
		}
	}
	if labels.Day > 0 {
		fields |= fieldDay
	}
	e.data = binary.AppendUvarint(e.data, fields)
	for _, field := range labels.textFields() {
		if *field.text != "" {
			e.addText(*field.text)
		}
	}
	if labels.Day > 0 {
		e.data = binary.AppendUvarint(e.data, uint64(labels.Day))
	}
}

func (e *encoder) addText(text string) {
	if number, ok := e.texts[text]; ok {
		e.data = binary.AppendUvarint(e.data, number)
		return
	}
	e.texts[text] = uint64(len(e.texts)) + 1
	e.data = binary.AppendUvarint(append(e.data, 0), uint64(len(text)))
	e.data = append(e.data, text...)
}

// Decode calls use with each sample of a document. Its error is ErrInvalid; then some of them may have been used.
func Decode(document []byte, use func(Sample)) error {
	if len(document) == 0 || document[0] != codecVersion {
		return ErrInvalid
	}
	d := decoder{Reader: varint.NewReader(document[1:])}
	for d.HasMore() {
		sample := d.readSample()
		if !d.HasMore() && !d.IsComplete() {
			return ErrInvalid
		}
		use(sample)
	}
	if !d.IsComplete() {
		return ErrInvalid
	}
	return nil
}

type decoder struct {
	*varint.Reader
	texts     []string
	labels    Labels // those of the sample before
	hasLabels bool
}

func (d *decoder) readSample() Sample {
	head := byte(d.ReadUvarint(sameLabels<<1 - 1)) //nolint:gosec // bounded
	if metric := head & metricBits; metric >= NumMetrics || (head&sameLabels != 0 && !d.hasLabels) {
		d.Invalidate()
	}
	if head&sameLabels == 0 {
		d.labels, d.hasLabels = d.readLabels(), true
	}
	sample := Sample{Metric: Metric(head & metricBits), Labels: d.labels}
	if head&isFraction != 0 {
		sample.Value = d.readFraction()
	} else {
		sample.Value = float64(d.ReadUvarint(maxExact))
	}
	return sample
}

func (d *decoder) readLabels() Labels {
	var labels Labels
	fields := d.ReadUvarint(allFields)
	for _, field := range labels.textFields() {
		if fields&field.bit != 0 {
			*field.text = d.readText()
		}
	}
	if fields&fieldDay != 0 {
		labels.Day = report.Day(d.ReadUvarint(math.MaxInt32)) //nolint:gosec // bounded
	}
	return labels
}

// readText returns the next text, which is never empty.
func (d *decoder) readText() string {
	number := d.ReadUvarint(uint64(len(d.texts)))
	if number > 0 {
		return d.texts[number-1]
	}
	text := d.ReadString()
	if text == "" {
		d.Invalidate()
		return ""
	}
	d.texts = append(d.texts, text)
	return text
}

// readFraction returns the next value that is no varint.
func (d *decoder) readFraction() float64 {
	value := math.Float64frombits(bits.ReverseBytes64(d.ReadUvarint(math.MaxUint64)))
	if !(value >= 0) || math.IsInf(value, 0) {
		d.Invalidate()
		return 0
	}
	return value
}
