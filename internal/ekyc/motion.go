package ekyc

// baseSize is the size of the face before the first cue: its eye distance in pixels.
func baseSize(base []Sample) float64 {
	return median(base, func(s Sample) float64 { return s.Face.Quality.EyeDistance })
}

// distanceTolerance is how far from a size asked for the face may be, as a factor: half
// a step of distanceScales.
const distanceTolerance = 1.13

// answered reports that every cue has been answered, whatever comes after.
func (c Challenge) answered(samples []Sample) bool { return c.Judge(LevelLow, samples).Code == OK }
