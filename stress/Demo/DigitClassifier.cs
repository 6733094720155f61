using System.Numerics;

namespace Collective.Stress.Demo;

/// <summary>
/// A small neural network that reads a digit from 64 points: one hidden layer (ReLU) and a softmax over the ten digits.
/// It holds no parameters, only room for intermediate values; the parameters are one flat array, because that is what an
/// all-reduce wants.
/// </summary>
internal sealed class DigitClassifier
{
    public const int ClassCount = 10;
    private const int InputCount = DigitImages.PixelCount;

    private readonly int _hiddenCount;
    private readonly float[] _hidden;
    private readonly float[] _hiddenGradient;
    private readonly float[] _scores = new float[ClassCount];

    public DigitClassifier(int hiddenCount)
    {
        _hiddenCount = hiddenCount;
        _hidden = new float[hiddenCount];
        _hiddenGradient = new float[hiddenCount];
    }

    /// <summary>Number of parameters: weights and biases of the hidden layer, then weights and biases of the output layer.</summary>
    public int ParameterCount => _hiddenCount * (InputCount + 1) + ClassCount * (_hiddenCount + 1);

    /// <summary>Random parameters to begin with; the same for the same <paramref name="seed"/>.</summary>
    public float[] InitialParameters(int seed)
    {
        var random = new Random(seed);
        var parameters = new float[ParameterCount];
        var layers = Layers.Of(parameters, _hiddenCount);
        FillUniform(layers.HiddenWeights, MathF.Sqrt(6f / InputCount), random);
        FillUniform(layers.OutputWeights, MathF.Sqrt(3f / _hiddenCount), random);
        return parameters;
    }

    /// <summary>Mean cross-entropy loss over a batch; its gradient replaces the content of <paramref name="gradient"/>.</summary>
    public double LossAndGradient(float[] parameters, DigitImages images, ReadOnlySpan<int> batch, float[] gradient)
    {
        Array.Clear(gradient);
        var layers = Layers.Of(parameters, _hiddenCount);
        var gradients = Layers.Of(gradient, _hiddenCount);
        var loss = 0.0;
        foreach (var index in batch)
        {
            var pixels = images.Pixels(index);
            Forward(layers, pixels);
            loss -= Math.Log(Math.Max(_scores[images.Label(index)], 1e-30));
            Backward(layers, gradients, pixels, images.Label(index), 1f / batch.Length);
        }

        return loss / batch.Length;
    }

    /// <summary>Share of <paramref name="images"/> that are read correctly, 0 to 1.</summary>
    public double Accuracy(float[] parameters, DigitImages images)
    {
        var layers = Layers.Of(parameters, _hiddenCount);
        var correct = 0;
        for (var index = 0; index < images.Count; index++)
        {
            Forward(layers, images.Pixels(index));
            correct += IndexOfLargest(_scores) == images.Label(index) ? 1 : 0;
        }

        return (double)correct / images.Count;
    }

    /// <summary>Leaves the hidden values in <see cref="_hidden"/> and the probability of each digit in <see cref="_scores"/>.</summary>
    private void Forward(Layers layers, ReadOnlySpan<float> pixels)
    {
        for (var unit = 0; unit < _hidden.Length; unit++)
        {
            var sum = layers.HiddenBiases[unit] + Dot(layers.HiddenWeights.Slice(unit * InputCount, InputCount), pixels);
            _hidden[unit] = Math.Max(sum, 0);
        }

        for (var digit = 0; digit < ClassCount; digit++)
        {
            _scores[digit] = layers.OutputBiases[digit] + Dot(layers.OutputWeights.Slice(digit * _hiddenCount, _hiddenCount), _hidden);
        }

        Softmax(_scores);
    }

    /// <summary>Adds the gradient of one image's loss, times <paramref name="weight"/>, after <see cref="Forward"/> ran on it.</summary>
    private void Backward(Layers layers, Layers gradients, ReadOnlySpan<float> pixels, int label, float weight)
    {
        Array.Clear(_hiddenGradient);
        for (var digit = 0; digit < ClassCount; digit++)
        {
            var scoreGradient = (_scores[digit] - (digit == label ? 1 : 0)) * weight;
            gradients.OutputBiases[digit] += scoreGradient;
            AddScaled(gradients.OutputWeights.Slice(digit * _hiddenCount, _hiddenCount), _hidden, scoreGradient);
            AddScaled(_hiddenGradient, layers.OutputWeights.Slice(digit * _hiddenCount, _hiddenCount), scoreGradient);
        }

        for (var unit = 0; unit < _hidden.Length; unit++)
        {
            if (_hidden[unit] > 0)
            {
                gradients.HiddenBiases[unit] += _hiddenGradient[unit];
                AddScaled(gradients.HiddenWeights.Slice(unit * InputCount, InputCount), pixels, _hiddenGradient[unit]);
            }
        }
    }

    private static void Softmax(Span<float> scores)
    {
        var largest = scores[IndexOfLargest(scores)];
        var sum = 0f;
        foreach (ref var score in scores)
        {
            score = MathF.Exp(score - largest);
            sum += score;
        }

        foreach (ref var score in scores)
        {
            score /= sum;
        }
    }

    private static int IndexOfLargest(ReadOnlySpan<float> values)
    {
        var best = 0;
        for (var index = 1; index < values.Length; index++)
        {
            best = values[index] > values[best] ? index : best;
        }

        return best;
    }

    // Vectors make the training about three times as fast; each loop ends with what does not fill one.
    private static float Dot(ReadOnlySpan<float> left, ReadOnlySpan<float> right)
    {
        var sums = Vector<float>.Zero;
        var index = 0;
        for (; index <= left.Length - Vector<float>.Count; index += Vector<float>.Count)
        {
            sums += new Vector<float>(left[index..]) * new Vector<float>(right[index..]);
        }

        var sum = Vector.Sum(sums);
        for (; index < left.Length; index++)
        {
            sum += left[index] * right[index];
        }

        return sum;
    }

    private static void AddScaled(Span<float> target, ReadOnlySpan<float> values, float factor)
    {
        var index = 0;
        for (; index <= target.Length - Vector<float>.Count; index += Vector<float>.Count)
        {
            var sum = new Vector<float>(target[index..]) + new Vector<float>(values[index..]) * factor;
            sum.CopyTo(target[index..]);
        }

        for (; index < target.Length; index++)
        {
            target[index] += values[index] * factor;
        }
    }

    private static void FillUniform(Span<float> values, float bound, Random random)
    {
        foreach (ref var value in values)
        {
            value = (random.NextSingle() * 2 - 1) * bound;
        }
    }

    /// <summary>The four parts of a flat array with one value per parameter.</summary>
    private readonly ref struct Layers
    {
        public Span<float> HiddenWeights { get; private init; }

        public Span<float> HiddenBiases { get; private init; }

        public Span<float> OutputWeights { get; private init; }

        public Span<float> OutputBiases { get; private init; }

        public static Layers Of(Span<float> flat, int hiddenCount)
        {
            var hiddenWeightCount = hiddenCount * InputCount;
            var outputWeightCount = ClassCount * hiddenCount;
            return new Layers
            {
                HiddenWeights = flat[..hiddenWeightCount],
                HiddenBiases = flat.Slice(hiddenWeightCount, hiddenCount),
                OutputWeights = flat.Slice(hiddenWeightCount + hiddenCount, outputWeightCount),
                OutputBiases = flat.Slice(hiddenWeightCount + hiddenCount + outputWeightCount, ClassCount),
            };
        }
    }
}
