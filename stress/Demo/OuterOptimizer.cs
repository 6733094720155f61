namespace Collective.Stress.Demo;

/// <summary>
/// The outer half of DiLoCo: stochastic gradient descent with Nesterov momentum, in which the mean way that the peers went
/// in their local steps takes the place of the gradient. The same input gives the same bits on every peer, so replicas that
/// start equal stay equal.
/// </summary>
internal static class OuterOptimizer
{
    private const float LearningRate = 0.7f;
    private const float MomentumFactor = 0.8f;

    /// <summary>Moves the state by one outer step; <paramref name="meanDifference"/> is "before minus after", averaged over the peers.</summary>
    public static void Apply(TrainingState state, ReadOnlySpan<float> meanDifference)
    {
        for (var index = 0; index < meanDifference.Length; index++)
        {
            var momentum = MomentumFactor * state.Momentum[index] + meanDifference[index];
            state.Momentum[index] = momentum;
            state.Parameters[index] -= LearningRate * (meanDifference[index] + MomentumFactor * momentum);
        }

        state.StepsDone++;
    }
}
