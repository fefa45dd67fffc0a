"""Language of TriWorld: captions, referring expressions, questions and statements about a scene."""
