using Collective.Stress.Demo;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The network that the demo trains, without any communication.</summary>
internal sealed class DemoModelTests
{
    private static readonly Digits _digits = Digits.Load();

    [Test]
    public void The_data_set_is_whole_and_split_without_overlap()
    {
        Assert.That(_digits.Training.Count, Is.EqualTo(1438));
        Assert.That(_digits.Test.Count, Is.EqualTo(359));
        foreach (var images in new[] { _digits.Training, _digits.Test })
        {
            var labels = Enumerable.Range(0, images.Count).Select(images.Label).Distinct().Order();
            Assert.That(labels, Is.EqualTo(Enumerable.Range(0, 10)));
        }

        Assert.That(_digits.Training.Pixels(0)[..8].ToArray(), Is.EqualTo(new[] { 0, 0, 5 / 16f, 13 / 16f, 9 / 16f, 1 / 16f, 0, 0 }));
    }

    [Test]
    public void Moved_copies_are_moved_by_one_point_and_keep_their_label()
    {
        var moved = _digits.Training.WithMovedCopies();
        Assert.That(moved.Count, Is.EqualTo(5 * _digits.Training.Count));
        Assert.That(moved.Label(5 * 7 + 3), Is.EqualTo(_digits.Training.Label(7)));
        Assert.That(moved.Pixels(5 * 7).ToArray(), Is.EqualTo(_digits.Training.Pixels(7).ToArray()));
        for (var row = 0; row < 8; row++)
        {
            var original = _digits.Training.Pixels(7).Slice(row * 8, 8).ToArray();
            var right = moved.Pixels(5 * 7 + 1).Slice(row * 8, 8).ToArray();
            Assert.That(right, Is.EqualTo(original[..7].Prepend(0)));
        }
    }

    [Test]
    public void The_gradient_is_the_slope_of_the_loss()
    {
        const float Step = 1e-3f;
        var classifier = new DigitClassifier(hiddenCount: 12);
        var parameters = classifier.InitialParameters(seed: 3);
        var batch = Enumerable.Range(40, 16).ToArray();
        var gradient = new float[classifier.ParameterCount];
        var ignored = new float[classifier.ParameterCount];
        classifier.LossAndGradient(parameters, _digits.Training, batch, gradient);

        for (var index = 0; index < parameters.Length; index++)
        {
            var original = parameters[index];
            parameters[index] = original + Step;
            var above = classifier.LossAndGradient(parameters, _digits.Training, batch, ignored);
            parameters[index] = original - Step;
            var below = classifier.LossAndGradient(parameters, _digits.Training, batch, ignored);
            parameters[index] = original;
            Assert.That(gradient[index], Is.EqualTo((above - below) / (2 * Step)).Within(2e-3), $"parameter {index}");
        }

        Assert.That(gradient.Max(Math.Abs), Is.GreaterThan(0.05), "The check would not notice a gradient of zero.");
    }

    [Test]
    public void Training_is_the_same_for_the_same_seed_and_another_for_another()
    {
        var (first, again, other) = (DigestAfterTwoSteps(seed: 5), DigestAfterTwoSteps(seed: 5), DigestAfterTwoSteps(seed: 6));
        Assert.That(again, Is.EqualTo(first));
        Assert.That(other, Is.Not.EqualTo(first));
    }

    [Test]
    public void Local_training_leaves_the_shared_state_alone()
    {
        var trainer = new LocalTrainer(_digits, seed: 1);
        var state = trainer.InitialState();
        var before = state.Digest();
        trainer.Train(state, rank: 0, worldSize: 2, new float[state.Parameters.Length]);
        Assert.That(state.Digest(), Is.EqualTo(before));
        Assert.That(state.StepsDone, Is.Zero);
    }

    [Test]
    public void The_shards_of_all_ranks_are_all_images_once([Range(1, 16)] int worldSize)
    {
        const int Count = 7190;
        var shards = Enumerable.Range(0, worldSize).Select(rank => LocalTrainer.Shard(Count, rank, worldSize)).ToList();
        var images = shards.SelectMany(shard => Enumerable.Range(shard.Start.Value, shard.End.Value - shard.Start.Value));
        Assert.That(images, Is.EqualTo(Enumerable.Range(0, Count)));
    }

    [Test]
    public void Averaged_replicas_learn_to_read()
    {
        const int PeerCount = 2;
        var trainer = new LocalTrainer(_digits, seed: 1);
        var state = trainer.InitialState();
        var difference = new float[state.Parameters.Length];
        Assert.That(trainer.Accuracy(state), Is.LessThan(0.3));
        for (var step = 0; step < 12; step++)
        {
            var mean = new float[difference.Length];
            for (var rank = 0; rank < PeerCount; rank++)
            {
                trainer.Train(state, rank, PeerCount, difference);
                for (var index = 0; index < mean.Length; index++)
                {
                    mean[index] += difference[index] / PeerCount;
                }
            }

            OuterOptimizer.Apply(state, mean);
        }

        Assert.That(state.StepsDone, Is.EqualTo(12));
        Assert.That(trainer.Accuracy(state), Is.GreaterThan(0.9));
    }

    private static string DigestAfterTwoSteps(int seed)
    {
        var trainer = new LocalTrainer(_digits, seed);
        var state = trainer.InitialState();
        var difference = new float[state.Parameters.Length];
        for (var step = 0; step < 2; step++)
        {
            trainer.Train(state, rank: 1, worldSize: 3, difference);
            OuterOptimizer.Apply(state, difference);
        }

        return state.Digest();
    }
}
