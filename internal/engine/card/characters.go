package card

// otherCharacters stand on documents, and neither in the table of general standard characters nor in
// GB 2312: older and traditional forms that people kept. Our choice.
const otherCharacters = "彣旂旼晧晳暎暐暘暠曚枬栯濛濬瀞煇煐贇頔頫髙龑"
