package ekyc

import "math"

// qualityLimits are what a face must reach at a strictness. Eye distance: ISO/IEC
// 19794-5 asks 60 pixels for interchange; the embedding model reads 112x112 with the
// eyes 35 apart, so below 35 it sees enlarged pixels. Pose: the embedding's own test
// set is near frontal; silent capture asks the person to face the camera anyway.
// Light and sharpness were measured on the engine's scale (docs/models/README.md).
type qualityLimits struct {
	eyeDistance   float64 // pixels
	sharpness     float64
	dark, bright  float64 // mean luma
	inside        float64 // share of the box
	yaw, pitch    float64 // degrees, either way
	roll          float64
	eyesClosed    float64 // probability on both eyes; ENGINE: blink at .85
	otherFaceArea float64 // a second face this large beside the first is one too many
}

var limits = map[Level]qualityLimits{
	LevelLow:    {24, 0.15, 0.10, 0.95, 0.85, 40, 35, 40, 0.97, 0.30},
	LevelNormal: {35, 0.25, 0.16, 0.90, 0.92, 30, 28, 30, 0.90, 0.15},
	LevelHigh:   {60, 0.40, 0.24, 0.85, 0.98, 18, 18, 20, 0.80, 0.10},
}

// Judge names the first quality limit of a level that the examined image's largest
// face does not reach, or OK. Checks whose measurement was not wanted never fail.
func Judge(x Examination, want Want, level Level) Code {
	if len(x.Faces) == 0 {
		return NoFace
	}
	l, ok := limits[level]
	if !ok { // LevelNone: a face is enough
		return OK
	}
	f, q := x.Faces[0], x.Faces[0].Quality
	switch {
	case crowded(x, l):
		return SeveralFaces
	case q.Inside < l.inside:
		return FaceCut
	case q.EyeDistance < l.eyeDistance:
		return FaceSmall
	case q.Brightness < l.dark:
		return FaceDark
	case q.Brightness > l.bright:
		return FaceBright
	case want&WantPose != 0 && turned(f.Pose, l):
		return FaceTurned
	case q.Sharpness < l.sharpness:
		return FaceBlurred
	case want&WantEyes != 0 && f.EyesClosed[0] > l.eyesClosed && f.EyesClosed[1] > l.eyesClosed:
		return EyesClosed
	}
	return OK
}

func crowded(x Examination, l qualityLimits) bool {
	first := x.Faces[0].Box
	for _, f := range x.Faces[1:] {
		if f.Box.W*f.Box.H >= l.otherFaceArea*first.W*first.H {
			return true
		}
	}
	return false
}

func turned(p Pose, l qualityLimits) bool {
	return math.Abs(p.Yaw) > l.yaw || math.Abs(p.Pitch) > l.pitch || math.Abs(p.Roll) > l.roll
}

// Hint tells the capture subject what to do next. They see hints, never scores.
type Hint string

const (
	HintNone     Hint = "" // all is well; hold on
	HintNoFace   Hint = "no_face"
	HintSeveral  Hint = "several_faces"
	HintCloser   Hint = "closer"
	HintFurther  Hint = "further"
	HintCentre   Hint = "centre"
	HintTurn     Hint = "turn_to_camera"
	HintLight    Hint = "more_light"
	HintShade    Hint = "less_light"
	HintStill    Hint = "hold_still"
	HintOpenEyes Hint = "open_eyes"
)

var hints = map[Code]Hint{
	OK: HintNone, NoFace: HintNoFace, SeveralFaces: HintSeveral, FaceSmall: HintCloser, FaceCut: HintCentre,
	FaceDark: HintLight, FaceBright: HintShade, FaceTurned: HintTurn, FaceBlurred: HintStill, EyesClosed: HintOpenEyes,
}
