"""Text generation: captions, referring expressions, questions and statements about a scene."""
