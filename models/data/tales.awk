# Writes the small tales that the character models learn from:  awk -f tales.awk > tales.txt
# A grammar with a fixed generator of random numbers, so that the text is the same everywhere.

function pick(list,    words, count) {
  seed = (seed * 16807) % 2147483647
  count = split(list, words, "|")
  return words[seed % count + 1]
}

function who() {
  return pick("the miller|the old fox|a young sailor|the queen|my neighbour|the clockmaker|a grey cat|the baker|the gardener|a travelling singer")
}

function place() {
  return pick("by the river|under the bridge|in the market square|behind the mill|at the edge of the wood|on the hill|beside the harbour|in a narrow street")
}

function thing() {
  return pick("a silver key|an empty basket|a letter without a name|three red apples|a broken lantern|the last loaf of bread|a map of the coast|a small brass bell")
}

function time() {
  return pick("One morning|Late in the evening|When the rain had stopped|Before the bells rang|On the first day of spring|In the middle of winter|At noon")
}

function event() {
  return who() " " pick("found|lost|carried|hid|sold|asked for|dreamed of") " " thing() " " place()
}

function answer() {
  return pick("Nobody knows where it came from|It was there all along|You may keep it until tomorrow|I would rather have a song|The sea gives and the sea takes|Ask me again when the snow is gone")
}

BEGIN {
  seed = 20
  for (tale = 1; tale <= 150; tale++) {
    print time() ", " event() "."
    print pick("Then|Soon after|Meanwhile|The next day") " " event() ", and " who() " " pick("laughed|wept|said nothing|went home|began to sing") "."
    print "\"" answer() ",\" said " who() "."
    if (tale % 3 == 0) print pick("So it was.|And that is all.|They still speak of it today.")
    print ""
  }
}
