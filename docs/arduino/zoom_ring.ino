// Turns a zoom ring by a stepper behind a STEP/DIR driver, for anyzoom's motor of kind "arduino".
// The lines are told in docs/motor.md. 115200 baud; change the pins to those of your wiring.

const int STEP_PIN = 2, DIRECTION_PIN = 3, ENABLE_PIN = 8;
const bool REVERSED = false;  // if the ring turns the wrong way

long here = 0, target = 0;           // steps, from where it stood when it was switched on
unsigned long pause_us = 2500, last_us = 0;
char line[32];
byte length = 0;

void say(const char *text) {
  byte sum = 0;
  for (const char *c = text; *c; c++) sum ^= *c;
  char end[6];
  snprintf(end, sizeof end, "*%02x", sum);
  Serial.print(text);
  Serial.print(end);
  Serial.print('\n');
}

void sayWhere() {
  char text[24];
  snprintf(text, sizeof text, "at %ld %s", here, here == target ? "still" : "moving");
  say(text);
}

// Cuts the checksum off; false for a line that was garbled on its way.
bool isWhole() {
  if (length < 4 || line[length - 3] != '*') return false;
  byte sum = 0;
  for (byte i = 0; i < length - 3; i++) sum ^= line[i];
  char end[3];
  snprintf(end, sizeof end, "%02x", sum);
  bool whole = end[0] == line[length - 2] && end[1] == line[length - 1];
  line[length - 3] = 0;
  return whole;
}

void obey() {
  long wanted;
  unsigned int speed;
  if (!isWhole()) return say("garbled");
  if (strcmp(line, "stop") == 0) {
    target = here;
  } else if (sscanf(line, "step %ld %u", &wanted, &speed) == 2 && speed >= 1 && speed <= 4000) {
    target = wanted;
    pause_us = 1000000UL / speed;
  } else if (strcmp(line, "where") != 0) {
    return say("unknown");
  }
  sayWhere();
}

void setup() {
  pinMode(STEP_PIN, OUTPUT);
  pinMode(DIRECTION_PIN, OUTPUT);
  pinMode(ENABLE_PIN, OUTPUT);
  digitalWrite(ENABLE_PIN, LOW);  // on, and never off: the ring must not slip between photographs
  Serial.begin(115200);
  say("zoom-ring 1");
}

void loop() {
  while (Serial.available()) {
    char c = Serial.read();
    if (c == '\n') {
      if (length) obey();
      length = 0;
    } else if (length < sizeof line - 1) {
      line[length++] = c;
      line[length] = 0;
    } else {
      line[0] = 0;  // too long: will be garbled
    }
  }
  if (here != target && micros() - last_us >= pause_us) {
    last_us = micros();
    bool up = target > here;
    digitalWrite(DIRECTION_PIN, up != REVERSED);
    delayMicroseconds(5);
    digitalWrite(STEP_PIN, HIGH);
    delayMicroseconds(5);
    digitalWrite(STEP_PIN, LOW);
    here += up ? 1 : -1;
  }
}
