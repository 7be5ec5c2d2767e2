class Square:
    def __init__(self, side):
        self.sides = [side, side]
