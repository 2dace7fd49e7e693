package zoo

import "errors"

// ErrAtWork is returned where another run works on the same shard.
var ErrAtWork = errors.New("another bnfuse zoo is at work here")

// ErrOtherZoo is returned for a folder that another zoo was fused into.
var ErrOtherZoo = errors.New("the folder holds the models of another zoo, which this one would replace; --force lets it")

// ErrNotOurs is returned for a folder with files in it that no run of ours wrote.
var ErrNotOurs = errors.New("the folder is not empty and holds no zoo that bnfuse wrote; --force writes into it all the same")

// ErrDiskFull ends a run: what is done is done, and with room another run does the rest.
var ErrDiskFull = errors.New("the disk is full; what is done stays, and the next run does the rest")

// ErrNoOutput is returned where the fused models have nowhere to go.
var ErrNoOutput = errors.New("the output folder has no name")

// ErrInside is returned for an output folder that holds the zoo or lies in it.
var ErrInside = errors.New("the output and the zoo must not lie in one another")
