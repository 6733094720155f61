namespace Collective.Stress.Demo;

/// <summary>The inner half of DiLoCo: what a peer does alone, on its share of the images, between two all-reduces.</summary>
internal sealed class LocalTrainer
{
    /// <summary>Images that one peer looks at in one outer step.</summary>
    public const int SamplesPerStep = LocalStepCount * BatchSize;

    private const int HiddenCount = 128;
    private const int LocalStepCount = 40;
    private const int BatchSize = 32;
    private const float LearningRate = 0.2f;

    private readonly DigitImages _training;
    private readonly DigitImages _test;
    private readonly int _seed;
    private readonly DigitClassifier _classifier = new(HiddenCount);
    private readonly float[] _parameters;
    private readonly float[] _gradient;
    private readonly int[] _batch = new int[BatchSize];

    public LocalTrainer(Digits digits, int seed)
    {
        _training = digits.Training.WithMovedCopies();
        _test = digits.Test;
        _seed = seed;
        _parameters = new float[_classifier.ParameterCount];
        _gradient = new float[_classifier.ParameterCount];
    }

    /// <summary>Images in the shards of all peers together.</summary>
    public int TrainingCount => _training.Count;

    /// <summary>The state that every run with this seed begins with.</summary>
    public TrainingState InitialState() => new(_classifier.InitialParameters(_seed));

    /// <summary>
    /// Takes the local steps from <paramref name="state"/>, which stays as it is, and writes how far they led (before minus
    /// after) to <paramref name="difference"/>. Returns the mean loss. Which images are looked at follows from seed, step, rank
    /// and world size alone.
    /// </summary>
    public double Train(TrainingState state, int rank, int worldSize, Span<float> difference)
    {
        var shard = Shard(_training.Count, rank, worldSize);
        var random = new Random(unchecked((_seed * 1_000_003 + state.StepsDone) * 1_000_003 + rank));
        state.Parameters.CopyTo(_parameters.AsSpan());
        var loss = 0.0;
        for (var step = 0; step < LocalStepCount; step++)
        {
            foreach (ref var index in _batch.AsSpan())
            {
                index = random.Next(shard.Start.Value, shard.End.Value);
            }

            loss += _classifier.LossAndGradient(_parameters, _training, _batch, _gradient);
            for (var index = 0; index < _parameters.Length; index++)
            {
                _parameters[index] -= LearningRate * _gradient[index];
            }
        }

        for (var index = 0; index < difference.Length; index++)
        {
            difference[index] = state.Parameters[index] - _parameters[index];
        }

        return loss / LocalStepCount;
    }

    /// <summary>Share of the test images that are read correctly, 0 to 1.</summary>
    public double Accuracy(TrainingState state) => _classifier.Accuracy(state.Parameters, _test);

    /// <summary>The images of one rank. The shards of all ranks together are all images, whatever the world size.</summary>
    public static Range Shard(int count, int rank, int worldSize)
        => (int)((long)count * rank / worldSize)..(int)((long)count * (rank + 1) / worldSize);
}
